#compdef chatrepl
# Tab behind chatrepl, for zsh. What there is to offer, the program says.
_chatrepl() {
    local line value command=${(Q)words[1]}
    local -a offers described
    command=${~command}
    offers=("${(@f)$("$command" --complete zsh "${(j: :)words[1,CURRENT-1]} $PREFIX" \
        2> /dev/null < /dev/null)}")
    if [[ $offers[1] == files ]]; then
        compset -P '--[^=]#=' || compset -P '-[^-]'
        _files
        return
    fi
    for line in $offers; do
        value=${${line%%$'\t'*}//\\/\\\\}
        described+=("${value//:/\\:}:${line#*$'\t'}")
    done
    (( $#described )) && _describe -V chatrepl described
}
if [[ $funcstack[1] == _chatrepl ]]; then
    _chatrepl "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }
    compdef _chatrepl chatrepl
fi
