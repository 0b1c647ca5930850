import ArgumentParser
import Packets
import Platform

/// Reason why a subcommand ended, and the exit code that says which sort of reason it was.
struct Failure: Error {
    /// The codes of `sysexits.h` that Sluice uses.
    enum Code: Int32 {
        case failure = 1
        case usage = 64
        case configuration = 78
    }

    let code: Code
    let problems: [Problem]

    init(_ code: Code, _ problems: [Problem]) {
        self.code = code
        self.problems = problems
    }

    init(_ code: Code, _ what: String) { self.init(code, [Problem(what)]) }

    /// Prints the problems on standard error and ends the process. The place of a problem begins its line, where editors
    /// look for FILE:LINE; others begin with our name.
    func report() -> Never {
        let lines = problems.map { ($0.namesPlace ? "" : "sluice: ") + "\($0)\n" }
        writeToStandardError(lines.joined())
        CurrentProcess.exit(code.rawValue)
    }
}

func writeToStandardError(_ text: String) {
    writeAll(StandardStream.error, Array(text.utf8))
}

/// Writes all of it, at once: output of several kilobytes should not come in pieces.
func writeToStandardOutput(_ text: String) {
    writeAll(StandardStream.output, Array(text.utf8))
}

func writeToStandardOutput(_ bytes: [UInt8]) {
    writeAll(StandardStream.output, bytes)
}

private func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) {
    try? Descriptor.writeAll(bytes, to: descriptor)
}
