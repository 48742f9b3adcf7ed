#!/bin/sh
export FONTCONFIG_FILE='fonts.conf'
export CHROME_DEVEL_SANDBOX='/usr/bin/none'
exec '/usr/bin/chromium' "$@"
