#!/usr/bin/env bash
# Five hosts on this machine, each a network namespace: three with `knote serve`, one with HAProxy in front of them,
# and one for clients, in which COMMAND runs, or a shell.
#
#   cluster.sh [COMMAND...]
#
# Nothing of it is seen from outside, nothing stays behind, and root is not needed: all of it lives in namespaces that
# end with this script.  Needs haproxy, iproute2 and util-linux; KNOTE="python3 -m knote" names another knote.
set -euo pipefail

if [ -z "${CLUSTER:-}" ]; then
    here=$(cd "$(dirname "$0")" && pwd)
    for program in haproxy ip unshare; do
        command -v "$program" >/dev/null || PATH=$PATH:/usr/sbin:/sbin
        command -v "$program" >/dev/null || { echo "$0: $program is missing" >&2; exit 1; }
    done
    CLUSTER=$(mktemp -d)
    export CLUSTER PATH HERE=$here
    trap 'rm -rf "$CLUSTER"' EXIT
    status=0
    unshare --user --map-root-user --net --mount --pid --fork --kill-child --mount-proc bash "$here/cluster.sh" "$@" ||
        status=$?
    exit "$status"
fi

# From here on we are root of our own namespaces, and process 1: what we start ends with us.
read -ra knote <<<"${KNOTE:-knote}"
mount -t tmpfs none /run
ip link set lo up
ip link add lan type bridge
ip address add 10.77.0.1/24 dev lan
ip link set lan up

# host NAME ADDRESS: a namespace with one interface, plugged into the balancer's LAN.
host() {
    ip netns add "$1"
    ip link add "$1" type veth peer name eth0 netns "$1"
    ip -n "$1" link set lo up
    ip -n "$1" address add "$2/24" dev eth0
    ip -n "$1" link set eth0 up
}

# serve NAME ADDRESS
serve() {
    (
        cd "$HERE" # where answer.py is
        HOST=$1 exec ip netns exec "$1" "${knote[@]}" serve "$2:7000" --config knote.toml --admin "$2:9100"
    ) >"$CLUSTER/$1.out" 2>"$CLUSTER/$1.log" &
    echo $! >"$CLUSTER/$1.pid"
}

for number in 1 2 3; do
    host "host$number" "10.77.0.1$number"
    ip link set "host$number" master lan up
    serve "host$number" "10.77.0.1$number"
done
host client 10.77.1.2
ip address add 10.77.1.1/24 dev client
ip link set client up

# For the checks' port as well: a host that does not answer there yet counts as down.
ready=()
for host in 10.77.0.11 10.77.0.12 10.77.0.13; do
    ready+=(--connect "$host:7000" --connect "$host:9100")
done
"${knote[@]}" wait --all --timeout 20 "${ready[@]}" >/dev/null || { cat "$CLUSTER"/*.log >&2; exit 1; }
haproxy -f "$HERE/haproxy.cfg" >"$CLUSTER/haproxy.log" 2>&1 &
echo $! >"$CLUSTER/haproxy.pid"
ip netns exec client "${knote[@]}" wait --timeout 10 --connect 10.77.1.1:7000 >/dev/null ||
    { cat "$CLUSTER/haproxy.log" >&2; exit 1; }

if [ $# -eq 0 ]; then
    echo "10.77.1.1:7000 is HAProxy; logs and process numbers are in $CLUSTER."
    set -- "${SHELL:-bash}"
fi
ip netns exec client "$@"
