import Foundation

/// A committed Python script that runs in a namespace, with an interpreter that has scapy and the cryptography package.
public final class PythonPeer {
    public let process: RunningProcess

    /// `SLUICE_PYTHON`, else the environment that `deploy/test.sh` makes.
    public static let interpreter: String = {
        if let path = ProcessInfo.processInfo.environment["SLUICE_PYTHON"] { return path }
        return packageDirectory.appending(path: ".build/venv/bin/python").path
    }()

    /// The directory with `Package.swift`.
    public static var packageDirectory: URL {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    }

    /// Starts the script and waits until it has printed `ready`.
    public init(_ script: String, _ arguments: [String], in namespace: NetworkNamespace) throws {
        let path = Self.packageDirectory.appending(path: "Tests/Interop/Peers/\(script)").path
        let process = try RunningProcess(
            [Self.interpreter, "-u", path] + arguments, in: namespace, environment: ["PYTHONDONTWRITEBYTECODE": "1"],
            name: script)
        self.process = process
        do {
            try eventually("ready line of \(script)", within: .seconds(60)) {
                if let end = process.poll() { throw NeverHappened(description: "\(script) ended: \(end)") }
                return process.output.split(separator: "\n").contains("ready")
            }
        } catch {
            process.kill()
            throw CommandFailure(
                arguments: process.arguments,
                reason: "\(error) (deploy/test.sh installs what it needs)", output: process.outputForHumans)
        }
    }

    /// Runs `body`; when it fails, the error tells what the script printed.
    public func explaining<T>(_ body: () throws -> T) throws -> T {
        do { return try body() } catch {
            throw NeverHappened(description: "\(error)\n=== peer\n\(process.outputForHumans)")
        }
    }
}
