import Packets
import Testing

/// A problem is printed in one way, wherever it is and whoever found it.
@Suite struct ProblemTests {
    private static let line = Problem.Location(file: "swanctl.conf", line: 7)

    @Test(arguments: [
        (Problem("no route"), "no route"),
        (Problem("no route", remedy: "add one"), "no route; add one"),
        (
            Problem("no proposal chosen", details: ["ours: a", "theirs: b"], remedy: "set proposals = b"),
            "no proposal chosen; ours: a; theirs: b; set proposals = b"
        ),
        (
            Problem(.error, line, word: "x", "unknown key", remedy: "remove it"),
            "swanctl.conf:7: 'x': unknown key; remove it"
        ),
        (Problem(.error, line, word: nil, "unknown key", remedy: ""), "swanctl.conf:7: unknown key"),
        (
            Problem(.warning, line, word: "x", Problem("weak", details: ["96 bits"], remedy: "take 128")),
            "swanctl.conf:7: warning: 'x': weak; 96 bits; take 128"
        ),
        (
            Problem(.warning, Problem.Location(file: "moon.key", line: 0), word: nil, "exposed", remedy: "chmod 600"),
            "moon.key: warning: exposed; chmod 600"
        ),
        (Problem(flag: "--mtu", value: "1", "out of range", remedy: "give 576"), "--mtu 1: out of range; give 576"),
        (Problem(flag: "--lan", value: "", "no interface", remedy: "name one"), "--lan: no interface; name one"),
    ])
    func isPrintedInOneWay(_ problem: Problem, _ text: String) {
        #expect("\(problem)" == text)
    }

    @Test func knowsItsPlace() {
        #expect(Problem(.error, Self.line, word: nil, "unknown key", remedy: "").location == Self.line)
        #expect(Problem("no route").location == Problem.Location(file: "", line: 0))
        #expect(!Problem("no route").namesPlace)
        #expect(Problem(flag: "--mtu", value: "1", "out of range", remedy: "").place == .flag("--mtu"))
    }

    /// A reader of values does not know where they stand; what it found stays.
    @Test func aPlaceIsAddedToWhatAReaderFound() {
        let found = Problem("bad identity", details: ["at byte 3"], remedy: "write it like a@b")
        let placed = Problem(.warning, Self.line, word: "a@", found)
        #expect(placed.what == found.what && placed.details == found.details && placed.remedy == found.remedy)
        #expect(placed.severity == .warning && placed.word == "a@" && placed.namesPlace)
    }
}
