/// A command that failed, with what it printed.
public struct CommandFailure: Error, CustomStringConvertible {
    public let arguments: [String]
    public let reason: String
    public let output: String

    public init(arguments: [String], reason: String, output: String) {
        self.arguments = arguments
        self.reason = reason
        self.output = output
    }

    public var description: String { "\(arguments.joined(separator: " ")): \(reason)\n\(output)" }
}

/// What a finished command left.
public struct CommandResult: Sendable {
    public let status: Int32
    public let output: String
    public let errors: String

    public init(status: Int32, output: String, errors: String) {
        self.status = status
        self.output = output
        self.errors = errors
    }

    /// Both outputs, for messages.
    public var all: String { output + errors }
}

/// Runs a command to its end and returns how it went; throws only when it cannot be started, dies or takes too long.
public func attempt(
    _ arguments: [String], in namespace: NetworkNamespace? = nil, input: String? = nil,
    environment: [String: String] = [:], timeout: Duration = .seconds(60)
) throws -> CommandResult {
    let inputFile = try input.map { try TestRun.current.scratchFile("input", $0) } ?? "/dev/null"
    let process = try RunningProcess(arguments, in: namespace, environment: environment, input: inputFile)
    guard let end = process.wait(atMost: timeout) else {
        process.kill()
        throw CommandFailure(
            arguments: arguments, reason: "still running after \(timeout)", output: process.outputForHumans)
    }
    guard case .exited(let status) = end else {
        throw CommandFailure(arguments: arguments, reason: "\(end)", output: process.outputForHumans)
    }
    defer { process.removeFiles() }
    return CommandResult(status: status, output: process.output, errors: process.errors)
}

/// Runs a command that must succeed and returns its standard output.
@discardableResult
public func run(
    _ arguments: [String], in namespace: NetworkNamespace? = nil, input: String? = nil,
    environment: [String: String] = [:], timeout: Duration = .seconds(60)
) throws -> String {
    let result = try attempt(
        arguments, in: namespace, input: input, environment: environment, timeout: timeout)
    guard result.status == 0 else {
        throw CommandFailure(
            arguments: arguments, reason: "exit status \(result.status)",
            output: result.all + (input.map { "--- input\n\($0)" } ?? ""))
    }
    return result.output
}
