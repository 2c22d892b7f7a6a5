# Tab behind chatrepl, for fish. What there is to offer, the program says.
function __chatrepl_offers
    set -l line (commandline -cp | string collect)
    set -l words (commandline -opc)
    while string match -qr '^[A-Za-z_]\w*=' -- $words[1] # what is set for this command
        set -e words[1]
    end
    set -l command (string replace -r '^~/' "$HOME/" -- $words[1])
    set -l offers ($command --complete fish "$line" 2> /dev/null < /dev/null)
    if test "$offers[1]" = files
        set -l typed (commandline -ct)
        set -l option (string match -r -- '^--[^=]*=|^-[^-]' $typed)
        for path in (__fish_complete_path (string sub -s (math (string length -- "$option") + 1) -- $typed))
            printf '%s%s\n' "$option" $path
        end
    else
        printf '%s\n' $offers
    end
end
complete -c chatrepl -f -k -a '(__chatrepl_offers)'
