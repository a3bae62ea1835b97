#!/bin/sh
# Installs GoodNet for the person who runs this, without root: the program, its entry in the desktop's menu, its icons
# and the command `goodnet`.
#
#     sh install.sh             install, or replace what an earlier run installed
#     sh install.sh --remove    take everything away again
set -eu

here=$(cd "$(dirname "$0")" && pwd)
data=${XDG_DATA_HOME:-$HOME/.local/share}
app=$data/goodnet
entry=$data/applications/goodnet.desktop
command=$HOME/.local/bin/goodnet

remove() {
    if [ -d "$app" ]; then
        chmod -R u+w "$app"
        rm -rf "$app"
    fi
    rm -f "$entry" "$command" "$data"/icons/hicolor/*x*/apps/goodnet.png
}

case "${1-}" in
    "") ;;
    --remove) remove; echo "GoodNet is removed."; exit 0 ;;
    *) echo "usage: sh install.sh [--remove]" >&2; exit 2 ;;
esac

if [ "$here" = "$app" ]; then
    echo "install.sh: run it from the unpacked archive, not from $app, which it would replace." >&2
    exit 1
fi

# The copy is made beside the old program and then takes its place, so a full disk costs nobody the old one.
new=$app.new
if [ -d "$new" ]; then
    chmod -R u+w "$new"
    rm -rf "$new"
fi
mkdir -p "$data/applications" "$(dirname "$command")"
cp -R "$here" "$new"
chmod -R u+w "$new"
remove
mv "$new" "$app"

for icon in "$app"/_internal/resources/icon/goodnet-*.png; do
    size=${icon##*-}
    size=${size%.png}
    size=${size#0}
    mkdir -p "$data/icons/hicolor/${size}x$size/apps"
    cp "$icon" "$data/icons/hicolor/${size}x$size/apps/goodnet.png"
done

while IFS= read -r line; do
    case $line in
        Exec=*) printf 'Exec="%s" %%F\n' "$app/GoodNet" ;;
        *) printf '%s\n' "$line" ;;
    esac
done < "$here/goodnet.desktop" > "$entry"
ln -s "$app/GoodNet" "$command"
echo "GoodNet is installed in $app. Start it from the desktop's menu or with $command"
