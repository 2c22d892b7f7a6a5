# Tab behind chatrepl, for fish. What there is to offer, the program says.
function __chatrepl_offers
    set -l line (commandline -cp | string collect)
    set -l command (string replace -r '^~/' "$HOME/" -- (commandline -opc)[1])
    set -l offers ($command --complete fish "$line" 2> /dev/null < /dev/null)
    if test "$offers[1]" = files
        set -l typed (commandline -ct)
        set -l option (string match -r -- '^--[^=]*=' $typed)
        for path in (__fish_complete_path (string sub -s (math (string length -- "$option") + 1) -- $typed))
            printf '%s%s\n' "$option" $path
        end
    else
        printf '%s\n' $offers
    end
end
complete -c chatrepl -f -k -a '(__chatrepl_offers)'
