import ArgumentParser
import Platform

/// Why a subcommand ended, and the exit code that says which sort of reason it was.
struct Failure: Error {
    /// The codes of `sysexits.h` that Sluice uses.
    enum Code: Int32 {
        case failure = 1
        case usage = 64
        case configuration = 78
    }

    let code: Code
    let message: String
    /// Every line begins with FILE:LINE, where editors look for it.
    let namesPlaces: Bool

    init(_ code: Code, _ message: String, namesPlaces: Bool = false) {
        self.code = code
        self.message = message
        self.namesPlaces = namesPlaces
    }

    /// Prints the message on standard error and ends the process.
    func report() -> Never {
        writeToStandardError((namesPlaces ? "" : "sluice: ") + message + "\n")
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
