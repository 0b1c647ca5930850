#!/usr/bin/env python3
"""Counts test cases in the event stream of Swift Testing.

tally.py EVENTS [MINIMUM]: prints what failed, one line each, then "PASSED FAILED". Every case of a parameterised test counts.
A test that was skipped, or known to fail, or begun but never ended counts as failed, and so does a run that stopped early
or had fewer than MINIMUM cases: a suite that silently vanished must not look like success.
"""
import collections
import json
import sys


def main(path, minimum):
    started, ended = collections.Counter(), collections.Counter()
    functions, finished = {}, set()
    failed_cases = collections.defaultdict(set)
    problems = []
    run_ended = False
    try:
        lines = open(path, encoding="utf-8", errors="replace").read().splitlines()
    except OSError as error:
        lines = []
        problems.append(f"no event stream: {error}")
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue  # the last line of a run that was killed
        payload = record.get("payload", {})
        if record.get("kind") == "test":
            if payload.get("kind") == "function":
                functions[payload["id"]] = payload
            continue
        kind, test = payload.get("kind"), payload.get("testID", "the run")
        if kind == "testCaseStarted":
            started[test] += 1
        elif kind == "testCaseEnded":
            ended[test] += 1
        elif kind == "testEnded":
            finished.add(test)
        elif kind == "testSkipped":
            failed_cases[test].add("skipped")
            problems.append(f"skipped: {test}")
        elif kind == "issueRecorded":
            issue = payload.get("issue", {})
            if issue.get("severity") == "warning":
                continue
            case = (payload.get("_testCase") or {}).get("id", "")
            failed_cases[test].add(case)
            known = " (known issues are failures here)" if issue.get("isKnown") else ""
            text = " ".join(m.get("text", "") for m in payload.get("messages", []))
            problems.append(f"{test}: {text.splitlines()[0] if text else 'issue'}{known}")
        elif kind == "runEnded":
            run_ended = True

    passed = failed = 0
    for test in functions:
        cases = max(started[test], 1)
        bad = len(failed_cases.pop(test, ()))
        if not bad and (test not in finished or ended[test] < started[test]):
            bad = max(cases - ended[test], 1)
            problems.append(f"not finished: {test}")
        bad = min(bad, cases)
        passed += cases - bad
        failed += bad
    failed += sum(len(cases) for cases in failed_cases.values())  # issues of suites and of the run itself
    if not run_ended:
        failed += 1
        problems.append("the test process ended before the run did")
    if passed + failed < minimum:
        failed += 1
        problems.append(f"only {passed} test cases ran, at least {minimum} were expected")
    for problem in problems:
        print("  ✘ " + problem)
    print(passed, failed)


main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1)
