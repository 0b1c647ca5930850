import ArgumentParser
import Glibc

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
        exit(code.rawValue)
    }
}

func writeToStandardError(_ text: String) {
    writeAll(STDERR_FILENO, Array(text.utf8))
}

/// Writes all of it, at once: output of several kilobytes should not come in pieces.
func writeToStandardOutput(_ text: String) {
    writeAll(STDOUT_FILENO, Array(text.utf8))
}

func writeToStandardOutput(_ bytes: [UInt8]) {
    writeAll(STDOUT_FILENO, bytes)
}

private func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) {
    var written = 0
    while written < bytes.count {
        let count = bytes.withUnsafeBytes { raw in
            Glibc.write(descriptor, raw.baseAddress.map { $0 + written }, raw.count - written)
        }
        if count > 0 { written += count } else if errno != EINTR { return }
    }
}
