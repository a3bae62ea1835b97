#!/bin/sh
# Installs GoodNet for the person who runs this, without root: the program, its entry in the desktop's menu, its icons
# and the command `goodnet`. What is in the way and isn't this installer's is named and left as it is.
#
#     sh install.sh             install, or replace what an earlier run installed
#     sh install.sh --remove    take everything away again
set -eu

here=$(cd "$(dirname "$0")" && pwd)
# Relative paths in this variable are to be ignored, says the XDG Base Directory Specification.
case ${XDG_DATA_HOME-} in /*) data=$XDG_DATA_HOME ;; *) data=$HOME/.local/share ;; esac
app=$data/goodnet
new=$app.new
old=$app.old
entry=$data/applications/goodnet.desktop
command=$HOME/.local/bin/goodnet
exec="Exec=\"$app/GoodNet\" %F"
# In each folder that this makes: the files that it put there. It deletes no others.
list=installed-files.txt

refuse() {
    printf 'install.sh: %s\n' "$1" >&2
    exit 1
}

# Whether this script made what is at a path: a link into the program, a folder with the list, or the program's entry.
is_ours() {
    if [ -L "$1" ]; then
        case $(readlink "$1") in "$app"/*) return 0 ;; *) return 1 ;; esac
    fi
    [ -f "$1/$list" ] || { [ -f "$1" ] && grep -qxF "$exec" "$1"; }
}

delete_empty_folders() {
    find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || :
}

# Delete what the list of a folder names. The list goes last, so that what was stopped here can be gone on with.
delete() {
    find "$1" -type d -exec chmod u+w {} +
    (cd "$1" && sed 's/./\\&/g' "$list" | xargs rm -f)
    delete_empty_folders "$1"
    rm "$1/$list"
    rmdir "$1" 2>/dev/null || :
}

# Delete the program that was replaced; what a person put into its folder goes to the same place in the new one's.
delete_old() {
    delete "$old"
    [ -d "$old" ] || return 0
    (cd "$old" && find . ! -type d -exec sh -c '
        for file do
            to=$0/${file#./}
            if ! [ -e "$to" ] && mkdir -p "${to%/*}" && mv "$file" "$to"; then
                printf "Not of GoodNet, and kept: %s\n" "$to"
            fi
        done' "$app" {} +)
    delete_empty_folders "$old"
    name_left "$old"
}

name_left() {
    if [ -d "$1" ]; then
        echo "Not of GoodNet, and left where it was:"
        find "$1" ! -type d
    fi
}

take_from_desktop() {
    rm -f "$entry" "$command" "$data"/icons/hicolor/*x*/apps/goodnet.png
}

icon_folder() {
    size=${1##*-}
    size=${size%.png}
    size=${size#0}
    echo "$data/icons/hicolor/${size}x$size/apps"
}

case "${1-}" in
    "" | --remove) ;;
    *) echo "usage: sh install.sh [--remove]" >&2; exit 2 ;;
esac

# Desktops disagree on how these are escaped in an entry (GLib looks for a program with the escapes in its name).
case $app in
    *\"* | *\$* | *\`* | *\\* | *%* | *=* | *[[:cntrl:]]*)
        refuse "a menu entry can't start a program in $app, because of a character in that path (one of \" \$ \` \\ % = \
or a control character). GoodNet also runs from the unpacked folder: start $here/GoodNet" ;;
esac

# An empty folder is in nobody's way, and is what a removal leaves that was stopped when it had deleted the list.
rmdir "$app" "$new" "$old" 2>/dev/null || :
in_the_way=
for path in "$app" "$new" "$old" "$entry" "$command" "$data"/icons/hicolor/*x*/apps/goodnet.png; do
    if { [ -e "$path" ] || [ -L "$path" ]; } && ! is_ours "$path"; then
        in_the_way="$in_the_way
    $path"
    fi
done
[ -z "$in_the_way" ] || refuse "nothing was changed, because this is in the way:$in_the_way
It is yours or a GoodNet's up to 0.2.0, which kept no list of its files. Move away what is yours, delete what isn't, and
run this again."

if [ "${1-}" = --remove ]; then
    take_from_desktop
    for folder in "$app" "$new" "$old"; do
        if [ -d "$folder" ]; then
            delete "$folder"
            name_left "$folder"
        fi
    done
    echo "GoodNet is removed."
    exit 0
fi

[ ! -e "$here/$list" ] || refuse "run it from the unpacked archive; $here is what it installed, and would be replaced."

for folder in "$data/applications" "${command%/*}"; do
    mkdir -p "$folder"
    [ -w "$folder" ] || refuse "$folder can't be written to; nothing was changed."
done
for icon in "$here"/_internal/resources/icon/goodnet-*.png; do
    folder=$(icon_folder "$icon")
    mkdir -p "$folder"
    [ -w "$folder" ] || refuse "$folder can't be written to; nothing was changed."
done

# What a run left that was stopped: before the new program was in its place, the old one goes back to its own.
if [ -d "$old" ]; then
    if [ -d "$app" ]; then delete_old; else mv "$old" "$app"; fi
fi
if [ -d "$new" ]; then
    delete "$new"
fi

# The copy is made beside the old program, so a full disk costs nobody the old one.
mkdir "$new"
(cd "$here" && find . ! -type d) > "$new/$list"
if ! cp -R "$here/." "$new"; then
    delete "$new"
    refuse "GoodNet couldn't be copied to $data. What was installed before is as it was."
fi
chmod -R u+w "$new"
while IFS= read -r line; do
    case $line in
        Exec=*) printf '%s\n' "$exec" ;;
        *) printf '%s\n' "$line" ;;
    esac
done < "$here/goodnet.desktop" > "$new/goodnet.desktop"

if [ -d "$app" ]; then
    mv "$app" "$old"
fi
if ! mv "$new" "$app"; then
    [ ! -d "$old" ] || mv "$old" "$app"
    exit 1
fi
take_from_desktop
# Moved and linked, not copied: what is there only in part couldn't be told for this script's the next time.
mv "$app/goodnet.desktop" "$entry"
ln -s "$app/GoodNet" "$command"
for icon in "$app"/_internal/resources/icon/goodnet-*.png; do
    ln -s "$icon" "$(icon_folder "$icon")/goodnet.png"
done
if [ -d "$old" ]; then
    delete_old
fi
echo "GoodNet is installed in $app. Start it from the desktop's menu or with $command"
