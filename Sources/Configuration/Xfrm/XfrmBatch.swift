import IPsec
import Packets
import Policy

/// Reads manual keying as `ip -batch` does: lines of `xfrm state add …` and `xfrm policy add …`.
///
/// `update` adds or replaces, and `flush` forgets what the file has said so far. Everything that cannot be served is an
/// error with its line, the word and a remedy; all errors of a file are collected, and the other lines are served. What a
/// policy with an error covers is dropped, as far as it can be read. Keys go straight into secret memory, and no error or
/// warning ever shows one.
package enum XfrmBatch {
    /// Parses the text of a batch file.
    ///
    /// - `file`: the name for messages.
    /// - `defaultReplayWindow`: packets, for states that do not say. 0 as in Linux.
    package static func parse(
        _ text: String, file: String, defaultReplayWindow: Int = 0
    ) throws(ConfigurationErrors) -> ManualConfiguration {
        var text = text
        let result: Result<ManualConfiguration, ConfigurationErrors> = text.withUTF8 { bytes in
            do throws(ConfigurationErrors) {
                return .success(
                    try parse(
                        bytes: UnsafeRawBufferPointer(bytes), file: file, defaultReplayWindow: defaultReplayWindow))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Parses bytes, which stay as they are: their owner has to zero them.
    package static func parse(
        bytes: UnsafeRawBufferPointer, file: String, defaultReplayWindow: Int = 0
    ) throws(ConfigurationErrors) -> ManualConfiguration {
        guard bytes.count <= BatchText.maximumLength else {
            throw ConfigurationErrors([
                problem(file, 1, "the file is longer than \(BatchText.maximumLength) bytes", "split it")
            ])
        }
        let text = BatchText(bytes)
        var batch = Batch(file: file, defaultReplayWindow: defaultReplayWindow)
        for (line, column, hasComment) in text.unterminatedQuotes {
            batch.errors.append(
                Problem(
                    .error, SourceLocation(file: file, line: line, column: column), word: nil,
                    hasComment
                        ? "a '#' between quotes starts a comment, so the quote is never closed"
                        : "a quote is opened and never closed",
                    remedy: hasComment ? "write the key as 0x and hexadecimal digits" : "close it on the same line"))
        }
        for line in text.lines { batch.read(line) }
        return batch.finish()
    }

    /// Reads and parses a file. What was read is zeroed.
    ///
    /// The caller checks whether others may read the file.
    package static func load(
        path: String, defaultReplayWindow: Int = 0
    ) throws(ConfigurationErrors) -> ManualConfiguration {
        let content: FileContent
        do throws(Problem) {
            content = try FileContent(path: path, maximum: BatchText.maximumLength)
        } catch {
            throw ConfigurationErrors([
                problem(path, 0, "cannot be read: \(error.what)", "check the path and its permissions")
            ])
        }
        return try parse(bytes: content.bytes, file: path, defaultReplayWindow: defaultReplayWindow)
    }

    static func problem(_ file: String, _ line: Int, _ reason: String, _ remedy: String) -> Problem {
        Problem(.error, SourceLocation(file: file, line: line), word: nil, reason, remedy: remedy)
    }
}

/// The states and policies of the lines so far.
struct Batch {
    let file: String
    let defaultReplayWindow: Int
    private(set) var states: [ParsedState] = []
    private(set) var policies: [ParsedPolicy] = []
    /// The policies in the place of those with errors.
    private var standIns: [ParsedPolicy] = []
    /// The network namespace that the first line is for; nil: that of whoever runs it.
    private var namespace: (name: String?, line: Int)?
    var errors: [Problem] = []
    var warnings: [Problem] = []
    /// Positions in `states` and `policies`.
    private var stateIndex: [StateKey: Int] = [:]
    private var policyIndex: [PolicyKey: Int] = [:]

    /// The key of a state in Linux (the protocol is always ESP).
    private struct StateKey: Hashable {
        let destination: IPAddress
        let spi: SPI
    }

    private struct PolicyKey: Hashable {
        let selector: TrafficSelector
        let direction: SecurityPolicy.Direction
    }

    init(file: String, defaultReplayWindow: Int) {
        self.file = file
        self.defaultReplayWindow = defaultReplayWindow
    }

    /// Reads one command: `[ip …] xfrm {state|policy} {add|update|flush} …`.
    mutating func read(_ line: BatchLine) {
        var cursor = WordCursor(file: file, words: line.words)
        do throws(Problem) {
            let prefix = CommandPrefix(&cursor)
            try check(prefix, line)
            guard cursor.take("xfrm") != nil else {
                throw unknown(cursor, line, "'xfrm'", "begin with 'xfrm state' or 'xfrm policy'")
            }
            let isState = cursor.take("state") != nil
            guard isState || cursor.take("policy") != nil else {
                throw unknown(cursor, line, "'state' or 'policy'", "write 'xfrm state' or 'xfrm policy' in full")
            }
            guard let verb = cursor.peek, verb == "add" || verb == "update" || verb == "flush" else {
                throw unknown(cursor, line, "'add', 'update' or 'flush'", "say what shall be there, with 'add'")
            }
            cursor.skip()
            if verb == "flush" {
                try flush(isState: isState, verb, cursor)
            } else if isState {
                readState(verb, cursor)
            } else {
                readPolicy(verb, cursor)
            }
        } catch {
            errors.append(error)
        }
    }

    /// All lines are for one gateway.
    private mutating func check(_ prefix: CommandPrefix, _ line: BatchLine) throws(Problem) {
        guard let namespace else {
            namespace = (prefix.namespace, line.line)
            return
        }
        guard namespace.name != prefix.namespace else { return }
        func text(_ name: String?) -> String { name.map { "namespace \($0)" } ?? "no namespace" }
        throw XfrmBatch.problem(
            file, line.line,
            "this line is for \(text(prefix.namespace)), line \(namespace.line) for \(text(namespace.name))",
            "give each gateway a file of its own")
    }

    private func unknown(
        _ cursor: WordCursor, _ line: BatchLine, _ expected: String, _ remedy: String
    ) -> Problem {
        guard let word = cursor.peek else {
            return XfrmBatch.problem(file, line.line, "the line ends where \(expected) should stand", remedy)
        }
        return cursor.error(word, "expected \(expected)", remedy)
    }

    private mutating func flush(isState: Bool, _ verb: Word, _ cursor: WordCursor) throws(Problem) {
        if let word = cursor.peek {
            throw cursor.error(word, "'flush' takes nothing more", "flush everything, or leave the line out")
        }
        if isState {
            (states, stateIndex) = ([], [:])
        } else {
            (policies, policyIndex, standIns) = ([], [:], [])
        }
    }

    private mutating func readState(_ verb: Word, _ cursor: WordCursor) {
        var parser = XfrmStateParser(command: verb, cursor: cursor)
        let (state, cursor) = parser.parse(defaultReplayWindow: defaultReplayWindow)
        errors += cursor.errors
        warnings += cursor.warnings
        guard let state else { return }
        let key = StateKey(destination: state.parameters.destination, spi: state.parameters.spi)
        guard let known = stateIndex[key] else {
            stateIndex[key] = states.count
            states.append(state)
            return
        }
        if verb == "update" {
            states[known] = state
        } else {
            errors.append(
                cursor.error(
                    verb,
                    "a state for \(state.parameters.destination) esp spi "
                        + "\(state.parameters.spi) is there already, "
                        + "from line \(states[known].location.line)",
                    "choose another SPI, or 'update'"))
        }
    }

    private mutating func readPolicy(_ verb: Word, _ cursor: WordCursor) {
        var parser = XfrmPolicyParser(command: verb, cursor: cursor)
        let (policy, cursor) = parser.parse()
        errors += cursor.errors
        warnings += cursor.warnings
        guard let policy else {
            if let standIn = parser.standIn() { standIns.append(standIn) }
            return
        }
        let key = PolicyKey(selector: policy.policy.selector, direction: policy.policy.direction)
        guard let known = policyIndex[key] else {
            policyIndex[key] = policies.count
            policies.append(policy)
            return
        }
        if verb == "update" {
            policies[known] = policy
        } else {
            errors.append(
                cursor.error(
                    verb, "a policy for the same packets is there already, from line \(policies[known].location.line)",
                    "remove one of them, or 'update'"))
        }
    }

    /// The configuration without what has errors.
    func finish() -> ManualConfiguration {
        var (errors, warnings) = (errors, warnings)
        let before = errors.count
        XfrmChecks.check(file: file, states: states, policies: policies, errors: &errors, warnings: &warnings)
        let faulty = Set(errors[before...].map(\.location.line))
        var served = policies
        for index in served.indices where faulty.contains(served[index].location.line) {
            served[index].policy.action = .discard
        }
        served += standIns
        served.sort { $0.location.line < $1.location.line }
        var configuration = ManualConfiguration(
            states: states.filter { !faulty.contains($0.location.line) }.map(\.parameters),
            policies: served.map(\.policy), warnings: warnings.sorted(by: { $0.location.isBefore($1.location) }))
        configuration.errors = errors.sorted(by: { $0.location.isBefore($1.location) })
        return configuration
    }
}

extension SourceLocation {
    fileprivate func isBefore(_ other: SourceLocation) -> Bool { (line, column) < (other.line, other.column) }
}
