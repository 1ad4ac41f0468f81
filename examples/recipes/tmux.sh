#!/bin/sh
# A run in the background, its live view above and its log below:  sh tmux.sh "Mend the failing test"
# More words are options of the run. Leave with Ctrl-b d; the run goes on, with or without tmux.
set -eu
id=$(agentctl run --detach "$@")
tmux new-session -d -s "agentctl-$id" "agentctl attach $id; exec sh"
tmux split-window -t "agentctl-$id" -v "agentctl logs -f $id; exec sh"
tmux select-pane -t "agentctl-$id:.0"
if [ -t 1 ]; then tmux attach -t "agentctl-$id"; else echo "tmux attach -t agentctl-$id"; fi
