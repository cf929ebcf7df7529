# Session recording: shell integration for zsh. Made for one session, removed with it; read because ZDOTDIR points here.
# Words are quoted against aliases that the system's files may have defined.
# First the user's own ZDOTDIR again, then their .zshenv: the other start-up files are then found where they belong.
@ZDOTDIR@
{
  [[ ! -r "${ZDOTDIR-$HOME}/.zshenv" ]] || 'builtin' 'source' '--' "${ZDOTDIR-$HOME}/.zshenv"
} always {
  if [[ -o interactive && -z "${__sealcast_o-}" ]]; then
    'builtin' 'typeset' -g __sealcast_o=$'\e]7717;@NONCE@;'
    'builtin' 'typeset' -g __sealcast_g=$'\a'
    # Whatever `setopt allexport` says: children could read the nonce.
    'builtin' 'typeset' -g +x __sealcast_o __sealcast_g
    # Sticky emulation: inside, every option (xtrace, ksh_arrays, errexit, nounset…) is zsh's default; outside, the user's.
    # Lengths are bytes (no_multibyte).
    'builtin' 'emulate' -R zsh -o no_aliases -o no_multibyte -c '
      # Hooks are placed at the first prompt, when every start-up file has been read: ours goes first, to see the true $?.
      # A .zshrc may assign the list of hooks anew; then it happens when the first line has been typed.
      __sealcast_init() {
        precmd_functions=(__sealcast_precmd ${precmd_functions:#__sealcast_init})
        preexec_functions+=(__sealcast_preexec)
        zshaddhistory_functions=(${zshaddhistory_functions:#__sealcast_init})
        (( $#zshaddhistory_functions )) || builtin unset zshaddhistory_functions
        builtin zmodload zsh/system 2>/dev/null
        builtin typeset -gi __sealcast_fd=0
        # The terminal itself, closed in children: 1 and 2 may be redirected.
        builtin sysopen -o cloexec -wu __sealcast_fd -- "${TTY:-/dev/tty}" 2>/dev/null || __sealcast_fd=2
        builtin print -rnu $__sealcast_fd -- "${__sealcast_o}I;zsh;$ZSH_VERSION;$$$__sealcast_g"
        builtin unfunction __sealcast_init
        # With an argument we were called for a line: its start follows, and there is nothing to end.
        (( $# )) || __sealcast_mark 0
        builtin return 0
      }
      # The clock comes from the prompt escapes: the module that has it as a parameter would show.
      __sealcast_mark() {
        builtin local d="%D{%s.%6.}"
        builtin print -rnu $__sealcast_fd -- "${__sealcast_o}T;${(%)d}$__sealcast_g${__sealcast_o}D;$1;$2$__sealcast_g${__sealcast_o}A;q;${(qqqq)PWD}$__sealcast_g"
      }
      # A precmd that zle calls (reset-prompt) is no new prompt.
      __sealcast_precmd() {
        builtin local s=$? p="$pipestatus"
        builtin zle || { __sealcast_mark $s "$p"; __sealcast_mend preexec; }
        builtin return $s
      }
      # A .zshrc that is read again assigns the lists anew: the hook that is left puts the other one back.
      __sealcast_mend() {
        builtin local l=$1_functions
        [[ ${(Pt)l} == *readonly* ]] || (( ${${(P)l}[(Ie)__sealcast_$1]} )) || builtin set -A $l __sealcast_$1 ${(P)l}
      }
      __sealcast_preexec() {
        __sealcast_mend precmd
        builtin local t="${1:-$3}" c= d="%D{%s.%6.}"
        (( ${#t} > 4096 )) && { t="${t[1,4096]}"; c=+; }
        t="${(qqqq)t}"
        builtin print -rnu $__sealcast_fd -- "${__sealcast_o}T;${(%)d}$__sealcast_g${__sealcast_o}C;;;${#t}$c;q;$t$__sealcast_g"
      }
    '
    'builtin' 'typeset' -ag precmd_functions preexec_functions zshaddhistory_functions
    precmd_functions+=(__sealcast_init)
    zshaddhistory_functions+=(__sealcast_init)
  fi
}
