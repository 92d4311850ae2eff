#!/usr/bin/env bash
# Real servers on loopback, without containers: Apache Kafka (KRaft, one
# process), Apicurio Registry (Confluent-compatible API) and two Redis.
#
#   internal/servers/servers.sh install              fetch what is missing (idempotent)
#   eval "$(internal/servers/servers.sh start)"      start in a new run directory, export the addresses
#   internal/servers/servers.sh stop                 stop all and remove the run directory
#   internal/servers/servers.sh env                  print the exports of a started run directory again
#   internal/servers/servers.sh ACTION-SERVER        SERVER: kafka registry redis scratch
#       start-kafka     start on the old port and data; waits until it answers
#       stop-kafka      SIGTERM, waits
#       kill-kafka      SIGKILL, waits
#       restart-kafka   stop, then start; a Redis comes back EMPTY, the registry too
#       pause-kafka     SIGSTOP: a server that hangs with its connections open
#       resume-kafka    SIGCONT
#
# Everything but install and the first start works on CONSENTSTREAM_RUNDIR.
# start with CONSENTSTREAM_RUNDIR set starts what is not running there and so
# may be repeated; without it, it makes a new directory under TMPDIR, so that
# two checkouts or two test runs never share a server.
#
# Standard output carries the exports and nothing else; progress and errors go
# to standard error. Downloads are kept in CONSENTSTREAM_SERVERS (default
# ~/.cache/consentstream-servers), outside the checkout. Needs bash, Maven, a
# Java 17 and a Java 21 or newer; takes redis-server and kcat from apt.
set -euo pipefail

KAFKA=4.3.1
KAFKA_LOG4J=2.25.2
APICURIO=3.3.3
CACHE=${CONSENTSTREAM_SERVERS:-$HOME/.cache/consentstream-servers}
RUN=${CONSENTSTREAM_RUNDIR:-}
KAFKA_LIB=$CACHE/kafka-$KAFKA
APICURIO_APP=$CACHE/apicurio-$APICURIO
SERVERS="kafka registry redis scratch"

say() { printf 'servers: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# ---------------------------------------------------------------- install

install_all() {
  mkdir -p "$CACHE"
  (
    flock 9 # several runs may share one cache
    install_apt
    install_kafka
    install_apicurio
  ) 9>"$CACHE/lock"
}

# again tries a download up to three times, and does not wait for a connection
# that has gone silent.
again() { # COMMAND...
  local n
  for n in 1 2 3; do
    timeout 150 "$@" && return
    say "attempt $n failed: $*"
  done
  return 1
}

install_apt() {
  local missing=()
  command -v redis-server >/dev/null || missing+=(redis-server)
  command -v kcat >/dev/null || missing+=(kcat)
  [ ${#missing[@]} -eq 0 ] && return
  local sudo=
  [ "$(id -u)" -eq 0 ] || sudo=sudo
  say "installing ${missing[*]} from apt"
  again $sudo apt-get -qq update >&2
  again $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "${missing[@]}" >"$CACHE/apt.log" 2>&1 ||
    { cat "$CACHE/apt.log" >&2; die "apt-get failed"; }
}

# A folder counts as installed only when it has its final name, so an
# interrupted download is never used.
install_kafka() {
  [ -d "$KAFKA_LIB" ] && return
  say "fetching Kafka $KAFKA from Maven (54 MB)"
  local tmp=$KAFKA_LIB.part
  rm -rf "$tmp"; mkdir -p "$tmp/lib"
  cat >"$tmp/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>consentstream</groupId><artifactId>servers</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$KAFKA</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$KAFKA</version></dependency>
    <!-- without a binding Kafka writes no log at all -->
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>$KAFKA_LOG4J</version></dependency>
  </dependencies>
</project>
POM
  again mvn -q -B -f "$tmp/pom.xml" dependency:copy-dependencies -DoutputDirectory="$tmp/lib" -DincludeScope=runtime >&2
  mv "$tmp" "$KAFKA_LIB"
}

install_apicurio() {
  [ -d "$APICURIO_APP" ] && return
  say "fetching Apicurio Registry $APICURIO from Maven (151 MB)"
  local tmp=$APICURIO_APP.part
  rm -rf "$tmp"; mkdir -p "$tmp"
  again mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy \
    -Dartifact=io.apicurio:apicurio-registry-app:$APICURIO:tar.gz:all -DoutputDirectory="$tmp" >&2
  tar -xzf "$tmp"/*.tar.gz -C "$tmp"
  rm "$tmp"/*.tar.gz
  local jar
  jar=$(find "$tmp" -name quarkus-run.jar | head -1)
  [ -n "$jar" ] || die "no quarkus-run.jar in the Apicurio archive"
  mv "$(dirname "$jar")" "$APICURIO_APP"
  rm -rf "$tmp"
}

# java MIN prints a java command of at least that major version.
java_of() {
  local home v
  for home in "${JAVA_HOME:-}" /usr/lib/jvm/*; do
    [ -x "$home/bin/java" ] && [ -r "$home/release" ] || continue
    v=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$home/release")
    if [ "${v:-0}" -ge "$1" ]; then echo "$home/bin/java"; return; fi
  done
  v=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -1)
  [ "${v:-0}" -ge "$1" ] || die "no Java $1 or newer found (JAVA_HOME, /usr/lib/jvm, PATH)"
  echo java
}

# ---------------------------------------------------------------- processes

# A pid file holds "PID START"; START is the kernel's start time of the
# process, so that a recycled pid is never taken for ours.
started_at() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" {print $20}'; }

pid_of() { # prints the pid when the server runs
  local pid start
  read -r pid start 2>/dev/null <"$RUN/$1/pid" || return 1
  [ -n "$start" ] && [ "$(started_at "$pid")" = "$start" ] && echo "$pid"
}

spawn() { # NAME COMMAND...: own session, so that ^C in the caller's terminal does not reach it
  local name=$1; shift
  setsid "$@" </dev/null >>"$RUN/$name/log" 2>&1 9>&- &
  echo "$! $(started_at $!)" >"$RUN/$name/pid"
}

signal() { # NAME SIGNAL: sends it and waits for the end
  local pid i
  pid=$(pid_of "$1") || return 0
  kill -CONT "$pid" 2>/dev/null || true # a stopped process takes no SIGTERM
  kill "-$2" "$pid" 2>/dev/null || true
  for i in $(seq 300); do pid_of "$1" >/dev/null || break; sleep 0.1; done
  if pid_of "$1" >/dev/null; then
    say "$1 ignores SIG$2 for 30 s: SIGKILL"
    kill -KILL "$pid"; sleep 0.2
  fi
  rm -f "$RUN/$1/pid"
}

free_port() { # a loopback port below the ephemeral range that nobody listens on
  local p
  while :; do
    p=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
    grep -qs "^$p$" "$RUN"/*/port* && continue
    (exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null || { echo "$p"; return; }
  done
}

port_of() { cat "$RUN/$1/port"; }

await() { # NAME SECONDS COMMAND...: until it succeeds or the process ends
  local name=$1 seconds=$2 i; shift 2
  for i in $(seq $((seconds * 10))); do
    "$@" >/dev/null 2>&1 && return
    pid_of "$name" >/dev/null || break
    sleep 0.1
  done
  tail -30 "$RUN/$name/log" >&2
  die "$name did not come up; its log is $RUN/$name/log"
}

# ---------------------------------------------------------------- servers

start_server() {
  [ -d "$RUN/$1" ] || { mkdir -p "$RUN/$1"; free_port >"$RUN/$1/port"; }
  pid_of "$1" >/dev/null && return
  case $1 in
  kafka) start_kafka ;;
  registry) start_registry ;;
  redis | scratch) start_redis "$1" ;;
  esac
  say "$1 on 127.0.0.1:$(port_of "$1")"
}

start_kafka() {
  local dir=$RUN/kafka java
  java=$(java_of 17)
  [ -f "$dir/server.properties" ] || format_kafka "$java"
  spawn kafka "$java" -Xms256m -Xmx1g -Dlog4j2.configurationFile="$dir/log4j2.yaml" -cp "$KAFKA_LIB/lib/*" \
    kafka.Kafka "$dir/server.properties"
  # After a SIGKILL recovery of logs and coordinators takes longer than a
  # first start (1.5 s).
  await kafka 90 kcat -b "127.0.0.1:$(port_of kafka)" -L -m 2
}

format_kafka() { # JAVA
  local dir=$RUN/kafka id
  free_port >"$dir/port-controller"
  kafka_properties "$(port_of kafka)" "$(cat "$dir/port-controller")" >"$dir/server.properties.part"
  kafka_logging >"$dir/log4j2.yaml"
  id=$("$1" -cp "$KAFKA_LIB/lib/*" kafka.tools.StorageTool random-uuid 2>/dev/null | tail -1)
  "$1" -cp "$KAFKA_LIB/lib/*" kafka.tools.StorageTool format --standalone -t "$id" \
    -c "$dir/server.properties.part" >>"$dir/log" 2>&1 || { cat "$dir/log" >&2; die "kafka format failed"; }
  mv "$dir/server.properties.part" "$dir/server.properties"
}

kafka_properties() { # PORT CONTROLLERPORT
  cat <<P
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:$2
listeners=PLAINTEXT://127.0.0.1:$1,CONTROLLER://127.0.0.1:$2
advertised.listeners=PLAINTEXT://127.0.0.1:$1
controller.listener.names=CONTROLLER
log.dirs=$RUN/kafka/data
# A topic that springs up with default settings would hide a missing one.
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
# A transaction whose owner was killed under another id holds read_committed
# readers for its timeout plus this (default 10 s).
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
P
}

kafka_logging() {
  cat <<'P'
Configuration:
  Appenders:
    Console:
      name: STDOUT
      PatternLayout: {pattern: "%d %p %c{1} %m%n"}
  Loggers:
    Root:
      level: WARN
      AppenderRef: {ref: STDOUT}
P
}

start_registry() { # storage is H2 in memory: a restart is an empty registry
  local dir=$RUN/registry port; port=$(port_of registry)
  # Without a port of its own the management interface takes 9000 on all
  # addresses, and a second registry on the machine does not start.
  [ -f "$dir/port-management" ] || free_port >"$dir/port-management"
  spawn registry "$(java_of 21)" -Xmx512m -Dquarkus.http.host=127.0.0.1 -Dquarkus.http.port="$port" \
    -Dquarkus.management.host=127.0.0.1 -Dquarkus.management.port="$(cat "$dir/port-management")" \
    -Dquarkus.log.level=WARN -jar "$APICURIO_APP/quarkus-run.jar"
  await registry 120 answers "$port" /apis/ccompat/v7/subjects
}

answers() { # PORT PATH: HTTP 200, with bash alone
  local line
  exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
  printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' "$2" >&3
  read -r -t 5 line <&3 || line=
  exec 3>&-
  [[ $line == *" 200 "* ]]
}

start_redis() { # NAME: no persistence, never evicts
  spawn "$1" redis-server --bind 127.0.0.1 --port "$(port_of "$1")" --dir "$RUN/$1" \
    --save '' --appendonly no --maxmemory-policy noeviction
  await "$1" 10 redis-cli -p "$(port_of "$1")" ping
}

# ---------------------------------------------------------------- commands

new_run() {
  if [ -z "$RUN" ]; then RUN=$(mktemp -d "${TMPDIR:-/tmp}/consentstream-servers.XXXXXX"); fi
  mkdir -p "$RUN"
  RUN=$(cd "$RUN" && pwd)
}

need_run() { [ -n "$RUN" ] && [ -d "$RUN" ] || die "set CONSENTSTREAM_RUNDIR (start prints it)"; }

print_env() {
  cat <<E
export CONSENTSTREAM_KAFKA=127.0.0.1:$(port_of kafka)
export CONSENTSTREAM_REGISTRY=http://127.0.0.1:$(port_of registry)/apis/ccompat/v7
export CONSENTSTREAM_REDIS=127.0.0.1:$(port_of redis)
export CONSENTSTREAM_REDIS_SCRATCH=127.0.0.1:$(port_of scratch)
export CONSENTSTREAM_RUNDIR=$RUN
E
}

start_all() {
  install_all
  new_run
  local s
  # The slow ones come up side by side.
  (start_server registry) & local slow=$!
  for s in kafka redis scratch; do start_server "$s"; done
  wait "$slow" || { stop_all; exit 1; }
  print_env
}

stop_all() {
  local s
  for s in $SERVERS; do signal "$s" TERM & done
  wait
  # Only what start made is removed; a directory with anything else stays.
  for s in $SERVERS; do rm -rf "${RUN:?}/$s"; done
  rmdir "$RUN" 2>/dev/null || true
}

one() { # ACTION SERVER
  local pid
  [[ " $SERVERS " == *" $2 "* ]] || die "no server '$2' (one of: $SERVERS)"
  need_run
  case $1 in
  start) start_server "$2" ;;
  stop) signal "$2" TERM ;;
  kill) signal "$2" KILL ;;
  restart) signal "$2" TERM; start_server "$2" ;;
  pause) pid=$(pid_of "$2") && kill -STOP "$pid" ;;
  resume) pid=$(pid_of "$2") && kill -CONT "$pid" ;;
  *) die "no action '$1'" ;;
  esac
}

case ${1:-} in
install) install_all ;;
start) start_all ;;
stop) need_run; stop_all ;;
env) need_run; print_env ;;
*-*) one "${1%%-*}" "${1#*-}" ;;
*) sed -n '2,27s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
