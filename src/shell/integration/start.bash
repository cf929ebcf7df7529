# Session recording: shell integration for bash. Made for one session, removed with it.
# In every line: never fail (the user may have `set -e`), never expand what is unset (`set -u`), never print on
# descriptors 1 and 2, rely on no option, no IFS and no locale.
case $- in *i*) ;; *) return 0 ;; esac
if [[ -z ${__sealcast_o-} ]]; then
  @STARTUP@

  # The user's files may have left `set -aeux` on: parked while the hooks are defined, set again at the end. With -a, what is
  # defined would be exported: every child could read the nonce, and an inner bash would run our hooks.
  { __sealcast_opt=$-; set +aeux; } 2>/dev/null
  __sealcast_o=$'\e]7717;@NONCE@;'
  # $? at the start of PS1 is always the true status of the last command; behind a $(…) of the user's it would be that one's. At
  # its end \! tells the number the next line gets in the history, \# how many commands have run, and $$ whether it is this shell's
  # prompt.
  __sealcast_a='\[\e]7717;@NONCE@;S;$?\a\]'
  __sealcast_b='\[\e]7717;@NONCE@;B;;\!;\#;$$\a\]'
  __sealcast_h=

  if (( BASH_VERSINFO[0]*100+BASH_VERSINFO[1] < 404 )); then
    # No PS0, no ${x@Q}, no `local -`: marks that stand in PS1, as in a POSIX shell.
    case ${PS1-} in '') ;; *) PS1='\[\e]7717;@NONCE@;D;$?;\a\e]7717;@NONCE@;A;r;$PWD\a\]'$PS1$__sealcast_b ;; esac
    builtin printf '%sI;bash-old;%s;%s\a' "$__sealcast_o" "$BASH_VERSION" "$$" >/dev/tty 2>/dev/null
  else
    # Sends the command line that is about to run: read from the history, in one write, so that nothing gets between.
    # $1 is the history number now. `local -` gives the user's options back on return. From 5.3 on the caller and the
    # `history` below need no fork. Names of our own everywhere: a variable of the user's may be readonly. HISTTIMEFORMAT readonly: then the history cannot be read apart, and no text is sent. What is inside
    # `eval` is read after the user's files: the backslashes keep their aliases out.
    __sealcast_take='__sealcast_t=$(HISTTIMEFORMAT= \builtin history 1)'
    (( BASH_VERSINFO[0]*100+BASH_VERSINFO[1] >= 503 )) && __sealcast_take='__sealcast_t=${ HISTTIMEFORMAT= \builtin history 1; }'
    eval '__sealcast_pre() {
      \local -; \set +aeux
      \local IFS=" " LC_ALL=C __sealcast_t= __sealcast_c= __sealcast_n=$1 __sealcast_k= __sealcast_l=; \__sealcast_clock
      \builtin shopt -q cmdhist || __sealcast_l=-
      # Before 5.0, the number in PS0 is that of the line after this one.
      (( BASH_VERSINFO[0] >= 5 )) || __sealcast_n=$((__sealcast_n-1))
      case ${HISTTIMEFORMAT@a} in *r*) ;; *) if [[ -o history ]]; then '"$__sealcast_take"'; fi ;; esac
      if [[ -n $__sealcast_t ]]; then
        __sealcast_t=${__sealcast_t#"${__sealcast_t%%[! ]*}"}; __sealcast_t=${__sealcast_t#"${__sealcast_t%%[!0-9]*}"}
        __sealcast_t=${__sealcast_t#[\*]}; __sealcast_t=${__sealcast_t# }; __sealcast_t=${__sealcast_t# }
        if (( ${#__sealcast_t} > 4096 )); then __sealcast_t=${__sealcast_t:0:4096} __sealcast_c=+; fi
        \builtin printf -v __sealcast_t %q "$__sealcast_t"
        \builtin printf "%s%sC;%s;%s;%s;q;%s\a" "$__sealcast_k" "$__sealcast_o" "$__sealcast_n" "$__sealcast_h$__sealcast_l" "${#__sealcast_t}$__sealcast_c" "$__sealcast_t"
      else \builtin printf "%s%sC;;;;;\a" "$__sealcast_k" "$__sealcast_o"; fi
    }'
    # When the mark that follows is sent, as a mark of its own into __sealcast_k: the prompt and its hooks start programs within
    # the millisecond in which a command ends. Bash has the clock from 5.0 on; who unsets it and sets it anew has another
    # value in it. Some languages write a comma.
    __sealcast_clock() {
      __sealcast_k=${EPOCHREALTIME-}
      case $__sealcast_k in
        *[!0-9.,]*) __sealcast_k= ;;
        *[.,]??????) __sealcast_k=${__sealcast_o}T\;$__sealcast_k$'\a' ;;
        *) __sealcast_k= ;;
      esac
    }
    (( BASH_VERSINFO[0] >= 5 )) || __sealcast_clock() { __sealcast_k=; }
    # The prompt hook, before all others: what those run belongs to no command. The status is saved first, and 0 returned:
    # under `set -e` anything else would end the shell. With an argument, the status is not known here: another hook ran
    # before us in the same string.
    __sealcast_cmd() {
      local __sealcast_s=$? __sealcast_p="${BP_PIPESTATUS[@]-${PIPESTATUS[@]}}" IFS=' ' -; set +aeux
      local __sealcast_k; __sealcast_clock
      __sealcast_h=$HISTCMD __sealcast_ran=1
      if [[ -n ${1-} ]]; then __sealcast_s= __sealcast_p=; fi
      builtin printf '%s%sD;%s;%s\a%sA;q;%s\a' "$__sealcast_k" "$__sealcast_o" "$__sealcast_s" "$__sealcast_p" "$__sealcast_o" "${PWD@Q}" >/dev/tty
      return 0
    }
    # After all others: themes write PS1 and PS0 anew, and ours is added again wherever it went missing. Never to a
    # readonly variable (it would print an error), nor to an exported one (children would show it), nor where prompts are
    # not expanded. Somebody may have written over the first hook: then this one does its work.
    __sealcast_mend() {
      local -; set +aeux
      case ${__sealcast_ran-} in '') __sealcast_cmd late ;; esac
      # The hooks of the user may have read the history anew.
      __sealcast_ran= __sealcast_h=$HISTCMD
      if shopt -q promptvars; then
        # What stands behind ours would be taken for typed. Of a PS1 that was exported later ours is taken away.
        case ${PS1@a} in
          *r*) ;;
          *x*) PS1=${PS1//"$__sealcast_a"/}; PS1=${PS1//"$__sealcast_b"/} ;;
          *) case ${PS1-} in "$__sealcast_a"*"$__sealcast_b") ;; *)
            PS1=${PS1-}; PS1=${PS1//"$__sealcast_a"/}; PS1=$__sealcast_a${PS1//"$__sealcast_b"/}$__sealcast_b ;;
          esac ;;
        esac
        case ${PS0@a} in *r*|*x*) ;; *) case ${PS0-} in *__sealcast_pre*) ;; *) PS0=${PS0-}$__sealcast_c ;; esac ;; esac
      else
        case ${PS1@a} in *r*|*x*) ;; *) PS1=${PS1//"$__sealcast_a"/}; PS1=${PS1//"$__sealcast_b"/} ;; esac
        case ${PS0@a} in *r*|*x*) ;; *) PS0=${PS0//"$__sealcast_c"/} ;; esac
      fi
      return 0
    }
    __sealcast_init() {
      # PS0 is expanded in the shell itself; the marks go to the terminal even when 1 and 2 are redirected.
      if (( BASH_VERSINFO[0]*100+BASH_VERSINFO[1] >= 503 )); then __sealcast_c='${ { __sealcast_pre \! >/dev/tty; } 2>/dev/null; }'
      else __sealcast_c='$({ __sealcast_pre \! >/dev/tty; } 2>/dev/null)'; fi
      # Exported strings reach child shells that have no such function: the test keeps their not-found handler quiet,
      # and is a `case` because that leaves $? and PIPESTATUS alone. The braces keep `set -x` from showing the hook.
      local __sealcast_hook='{ case ${__sealcast_o-} in ?*) __sealcast_cmd ;; esac; } 2>/dev/null'
      local __sealcast_late='{ case ${__sealcast_o-} in ?*) __sealcast_cmd late ;; esac; } 2>/dev/null'
      local __sealcast_mends='{ case ${__sealcast_o-} in ?*) __sealcast_mend ;; esac; } 2>/dev/null' __sealcast_v=bash
      if [[ -n ${bash_preexec_imported-}${__bp_imported-} ]]; then
        precmd_functions=(__sealcast_cmd "${precmd_functions[@]}" __sealcast_mend); __sealcast_v=bash-preexec
      elif [[ ${PROMPT_COMMAND@a} == *r* ]]; then
        # A hook cannot be added: the marks stand in PS1 alone.
        __sealcast_v=bash-readonly
        case ${PS1@a} in
          *r*|*x*) ;;
          *) PS1='\[\e]7717;@NONCE@;D;$?;\a\e]7717;@NONCE@;A;q;${PWD@Q}\a\]'${PS1-}$__sealcast_b ;;
        esac
        case ${PS0@a} in *r*|*x*) ;; *) PS0=${PS0-}$__sealcast_c ;; esac
      elif [[ ${PROMPT_COMMAND@a} == *x* ]] || (( BASH_VERSINFO[0]*100+BASH_VERSINFO[1] < 501 )); then
        # One string: bash restores $? for each element of an array, but not inside a string. Before 5.1, what follows a
        # newline in it enters the history: there ours stands on the user's last line, but where it cannot (a comment, a
        # here-document, an escaped semicolon).
        local __sealcast_user=${PROMPT_COMMAND-} __sealcast_nl=$'\n'
        __sealcast_user=${__sealcast_user%"${__sealcast_user##*[![:space:];]}"}
        (( BASH_VERSINFO[0]*100+BASH_VERSINFO[1] >= 501 )) || case $__sealcast_user in *$'\n'*|*'#'*|*'\') ;; *'&') __sealcast_nl=' ' ;; *) __sealcast_nl='; ' ;; esac
        if [[ -z $__sealcast_user ]]; then PROMPT_COMMAND=$__sealcast_hook$__sealcast_nl$__sealcast_mends
        elif [[ $__sealcast_nl == $'\n' ]]; then PROMPT_COMMAND+=$__sealcast_nl$__sealcast_late$__sealcast_nl$__sealcast_mends
        else PROMPT_COMMAND="$__sealcast_user$__sealcast_nl$__sealcast_late; $__sealcast_mends"; fi
      elif [[ -z ${PROMPT_COMMAND[*]-} ]]; then PROMPT_COMMAND=("$__sealcast_hook" "$__sealcast_mends")
      else PROMPT_COMMAND=("$__sealcast_hook" "${PROMPT_COMMAND[@]}" "$__sealcast_mends"); fi
      builtin printf '%sI;%s;%s;%s\a' "$__sealcast_o" "$__sealcast_v" "$BASH_VERSION" "$$" >/dev/tty
      return 0
    }
    __sealcast_init 2>/dev/null
    unset -f __sealcast_init
    unset __sealcast_take
  fi
  { case $__sealcast_opt in *a*) set -a ;; esac
    case $__sealcast_opt in *u*) set -u ;; esac
    case $__sealcast_opt in *e*) set -e ;; esac
    case $__sealcast_opt in *x*) unset __sealcast_opt; set -x ;; *) unset __sealcast_opt ;; esac; } 2>/dev/null
fi
