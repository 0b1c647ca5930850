import Foundation

/// An IKEv2 daemon in a test's hands, ours or another. Each of them answers Debian's `swanctl`.
public protocol IKEDaemon {
    /// What it is, for messages.
    var label: String { get }

    /// Everything that it has logged.
    var log: String { get }

    /// Runs `swanctl` against its control socket.
    func swanctl(_ arguments: [String], within limit: Duration) throws -> CommandResult

    /// Ends it as an operator would; it says farewell to its peers.
    func stop() throws

    /// Ends it as a power failure would.
    func kill() throws

    /// Starts it after `stop` or `kill`.
    func start() throws
}

extension IKEDaemon {
    /// Runs `swanctl`, which must succeed, and returns what it printed.
    @discardableResult
    public func control(_ arguments: String..., within limit: Duration = .seconds(120)) throws -> String {
        let result = try swanctl(arguments, within: limit)
        guard result.status == 0 else {
            throw CommandFailure(
                arguments: ["\(label): swanctl"] + arguments, reason: "exit status \(result.status)", output: result.all
            )
        }
        return result.output
    }

    /// Sets up a CHILD_SA and what it needs; throws when that fails.
    public func initiate(_ child: String = "net", of connection: String? = nil) throws {
        let connection = connection.map { ["--ike", $0] } ?? []
        let result = try swanctl(
            ["--initiate", "--child", child] + connection + ["--timeout", "60"], within: .seconds(120))
        guard result.status == 0 else {
            throw CommandFailure(
                arguments: ["\(label): initiate", child], reason: "exit status \(result.status)", output: result.all)
        }
    }

    /// Deletes every SA of a connection; no error when there is none.
    public func terminate(_ connection: String) throws {
        _ = try swanctl(["--terminate", "--ike", connection, "--force", "--timeout", "3"], within: .seconds(60))
    }

    /// The SAs as `swanctl --list-sas` knows them.
    public func associations() throws -> AssociationList { AssociationList(raw: try control("--list-sas", "--raw")) }

    /// Waits until the log has a line with each of `words`, in any order, among what came after `offset` characters.
    public func awaitLog(
        _ words: String..., after offset: Int = 0, within limit: Duration = .seconds(60)
    ) throws {
        try eventually("\(label) logs a line with \(words)", within: limit, every: .milliseconds(100)) {
            log.dropFirst(offset).split(separator: "\n").contains { line in
                words.allSatisfy { line.localizedCaseInsensitiveContains($0) }
            }
        }
    }
}

/// What `swanctl --list-sas --raw` printed.
public struct AssociationList: CustomStringConvertible {
    public let description: String

    init(raw: String) { description = raw }

    /// Every value of a key, in the order of the listing, e.g. of `spi-in` or `state`.
    public func values(_ key: String) -> [String] {
        description.split(whereSeparator: { " \n{}".contains($0) }).compactMap { word in
            word.hasPrefix(key + "=") ? String(word.dropFirst(key.count + 1)) : nil
        }
    }

    /// SPIs of CHILD_SAs of which packets may be received.
    public var inboundSPIs: [String] { values("spi-in") }

    /// SPIs of the IKE SAs' initiators, which change with each new IKE SA.
    public var ikeSPIs: [String] { values("initiator-spi") }

    /// How many SAs are in a state, e.g. `ESTABLISHED` or `INSTALLED`.
    public func count(_ state: String) -> Int { values("state").filter { $0 == state }.count }
}

/// Runs `body`; when it fails, the error tells what each daemon logged.
public func explaining<T>(_ daemons: [any IKEDaemon], _ body: () throws -> T) throws -> T {
    do { return try body() } catch {
        let logs = daemons.map { daemon in
            let list = (try? daemon.swanctl(["--list-sas"], within: .seconds(20)).all) ?? "no answer"
            return "=== \(daemon.label): SAs\n\(list)\n=== \(daemon.label): log\n\(daemon.log.suffix(12_000))"
        }
        throw NeverHappened(description: "\(error)\n" + logs.joined(separator: "\n"))
    }
}
