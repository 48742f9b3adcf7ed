alter type ride_status add value if not exists 'disputed';
