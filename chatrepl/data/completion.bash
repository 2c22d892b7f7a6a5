# Tab behind chatrepl, for bash from 4.4 on. What there is to offer, the program says.
_chatrepl() {
    local command=${1/#\~\//$HOME/} offers=()
    COMPREPLY=()
    mapfile -t offers < <("$command" --complete bash "${COMP_LINE:0:COMP_POINT}" \
        "$COMP_TYPE" "$COMP_WORDBREAKS" "$COLUMNS" 2> /dev/null < /dev/null)
    if [[ ${offers[0]-} == files ]]; then
        compopt -o default
    else
        COMPREPLY=("${offers[@]}")
        [[ ${#offers[@]} -eq 1 && ${offers[0]} == *= ]] && compopt -o nospace
    fi
}
complete -F _chatrepl chatrepl
