# Keeps one throwaway PostgreSQL cluster. Its whole life is here, in a process of its own, so that it ends
# with the caller however the caller ends: standard input is a pipe that only the caller holds open, and the
# kernel closes it even after kill -9.
#
# $DIR      scratch directory, removed at the end
# $BIN      directory of the PostgreSQL programs
# $AS_USER  words put before a command to run it unprivileged (empty: run it as we are)
# $INITDB   further options of initdb
# "$@"      options of postgres
set -u
trap '' HUP INT TERM
cd "$DIR" || exit 1

server=
if $AS_USER "$BIN/initdb" --pgdata=data --username=postgres --auth=trust --encoding=UTF8 --locale=C \
    $INITDB >log 2>&1 </dev/null; then
    $AS_USER "$BIN/postgres" -D data "$@" >>log 2>&1 </dev/null &
    server=$!
else
    echo 'FATAL:  initdb failed' >>log
fi

cat >/dev/null # returns when the caller has closed its end

# SIGQUIT is PostgreSQL's immediate shutdown: the data is thrown away, so nothing is worth a checkpoint.
# Again and again, since a server that is just starting may not listen to it yet.
tries=0
while [ -n "$server" ] && [ "$tries" -lt 100 ] && kill -s QUIT "$server" 2>/dev/null; do
    tries=$((tries + 1))
    sleep 0.1
done
[ -z "$server" ] || kill -s KILL "$server" 2>/dev/null
cd /
rm -rf "$DIR"
