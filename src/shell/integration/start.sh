# Session recording: shell integration for POSIX shells, read because ENV points here. Made for one session, removed with
# it. There is no hook in these shells: the marks stand in PS1, where $? and $PWD are expanded at every prompt.
# First the user's own ENV again, and their file.
case $- in
*i*)
  @ENV@
  if [ -z "${__sealcast_o-}" ]; then
    # With `set -a`, left on by their file, what is defined here would be exported, and the nonce with it.
    case $- in *a*) set +a; __sealcast_a=a ;; *) __sealcast_a= ;; esac
    __sealcast_o='@ESC@]7717;@NONCE@;' __sealcast_g='@BEL@'
    # An exported PS1 would show our marks in every child shell: left alone, and the session is read from the screen.
    case $(export -p) in
    *"export PS1="* | *" PS1="*) ;;
    *)
      # bash (as sh) and busybox count what stands between \[ and \] as no width. Not every busybox tells its version.
      if [ -n "@BUSYBOX@${BASH_VERSION-}${BB_ASH_VERSION-}" ]; then
        PS1="\\[${__sealcast_o}D;\$?;$__sealcast_g${__sealcast_o}A;r;\$PWD$__sealcast_g\\]${PS1-}\\[${__sealcast_o}B;\$?;$__sealcast_g\\]"
      else
        case ${KSH_VERSION-} in
        *MIRBSD* | *LEGACY*)
          # mksh: a prompt that begins with a character and a carriage return has that character around what has no width.
          __sealcast_d='@SOH@'
          PS1="$__sealcast_d@CR@$__sealcast_d${__sealcast_o}D;\$?;$__sealcast_g${__sealcast_o}A;r;\$PWD$__sealcast_g$__sealcast_d${PS1-}$__sealcast_d${__sealcast_o}B;\$?;$__sealcast_g$__sealcast_d"
          ;;
        *)
          # ksh93 has no prompt yet where nobody has set one, and would not give this one its own.
          case ${PS1+set} in set) ;; *) case $(id -u) in 0) PS1='# ' ;; *) PS1='$ ' ;; esac ;; esac
          PS1="${__sealcast_o}D;\$?;$__sealcast_g${__sealcast_o}A;r;\$PWD$__sealcast_g${PS1-}${__sealcast_o}B;\$?;$__sealcast_g"
          ;;
        esac
      fi
      # The terminal it goes to is the one that shows the prompt.
      __sealcast_i="${__sealcast_o}I;sh;@BUSYBOX@${KSH_VERSION-}${BB_ASH_VERSION-}${BASH_VERSION-};$$$__sealcast_g"
      # mksh has no printf of its own.
      if [ -w /dev/tty ]; then case ${KSH_VERSION-} in ?*) print -rn -- "$__sealcast_i" ;; *) printf %s "$__sealcast_i" ;; esac >/dev/tty; fi
      unset __sealcast_i
      ;;
    esac
    case $__sealcast_a in a) unset __sealcast_a; set -a ;; *) unset __sealcast_a ;; esac
  fi
  ;;
esac
