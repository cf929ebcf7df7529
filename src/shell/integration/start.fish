# Session recording: shell integration for fish. Made for one session, removed with it; read after all configuration.
# Everything is written in percent form, so lengths in characters are lengths in bytes.
status is-interactive; or exit 0
set -g __sealcast_o \e']7717;@NONCE@;'
printf '%sI;fish;%s;%s\a' $__sealcast_o $version $fish_pid >/dev/tty
function __sealcast_prompt --on-event fish_prompt
    set -l s $status
    printf '%sA;u;%s\a' $__sealcast_o (string escape --style=url -- $PWD | string join %0A) >/dev/tty
    return $s
end
# A mark is 24 KiB at most, and a character up to twelve in percent form: two thousand of them fit in any case.
function __sealcast_preexec --on-event fish_preexec
    set -l c
    set -l t "$argv"
    if test (string length -- "$t") -gt 4096
        set t (string sub --length 4096 -- "$t" | string collect)
        set c +
    end
    set -l e (string escape --style=url -- "$t" | string join %0A)
    if test (string length -- "$e") -gt 24000
        set e (string sub --length 2000 -- "$t" | string escape --style=url | string join %0A)
        set c +
    end
    set t "$e"
    printf '%sC;;;%s%s;u;%s\a' $__sealcast_o (string length -- "$t") "$c" "$t" >/dev/tty
end
function __sealcast_postexec --on-event fish_postexec
    set -l s $status
    set -l p "$pipestatus"
    printf '%sD;%s;%s\a' $__sealcast_o $s "$p" >/dev/tty
end
function __sealcast_cancel --on-event fish_cancel
    printf '%sD;;cancel\a' $__sealcast_o >/dev/tty
end
