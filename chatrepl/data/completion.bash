# Tab behind chatrepl, for bash from 4.4 on. What there is to offer, the program says.
((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)) || return 0
_chatrepl() {
    local command=${1/#\~\//$HOME/} offers=()
    COMPREPLY=()
    mapfile -t offers < <("$command" --complete bash "${COMP_LINE:0:COMP_POINT}" \
        "$COMP_TYPE" "$COMP_WORDBREAKS" "$COLUMNS" 2> /dev/null < /dev/null)
    if [[ ${offers[0]-} == files ]]; then
        compopt -o default
        if [[ $2 == -[!-]?* ]]; then # a file behind its option, as in -fREADME.md
            mapfile -t COMPREPLY < <(compgen -P "${2:0:2}" -f -- "${2:2}")
            compopt -o filenames
        fi
    else
        COMPREPLY=("${offers[@]}")
        [[ ${#offers[@]} -eq 1 && ${offers[0]} == *= ]] && compopt -o nospace
    fi
}
complete -F _chatrepl chatrepl
