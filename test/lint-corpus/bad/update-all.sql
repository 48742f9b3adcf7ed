-- expect: bulk-data at 2:1
update users set nickname = 'x';
