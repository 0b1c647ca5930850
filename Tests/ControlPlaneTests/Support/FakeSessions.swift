import IKEv2
import Packets

@testable import ControlPlane

/// A manager that knows what it is told, notes what it is asked, and gives the outcomes that a test wants.
final class FakeSessions: SessionControl {
    var now: Instant = 100_000_000_000
    var counters = ManagerCounters()
    var connections: [Connection] = []
    var credentials = Credentials()
    var traps: [ChildCover] = []
    var sessions: [IKESAStatus] = []
    /// What was asked, in order.
    var calls: [String] = []
    /// Outcomes that are still to be given.
    var initiations: [(Result<Void, Explanation>) -> Void] = []
    var terminations: [(Result<Int, Explanation>) -> Void] = []

    /// Attempts that wait for their next try.
    var waiting = 0

    func statuses() -> [IKESAStatus] { sessions }
    func waitingAttempts(matching filter: SAFilter) -> Int { waiting }

    func load(_ connections: [Connection], replacingAll: Bool, at now: Instant) {
        calls.append("load \(connections.map(\.name).joined(separator: " "))\(replacingAll ? " replacing all" : "")")
        let names = Set(connections.map(\.name))
        self.connections.removeAll { replacingAll || names.contains($0.name) }
        self.connections += connections
    }

    func unload(_ name: String, at now: Instant) -> Bool {
        calls.append("unload \(name)")
        let before = connections.count
        connections.removeAll { $0.name == name }
        return connections.count < before
    }

    func initiate(
        connection: String?, child: String?, at now: Instant, outcome: @escaping (Result<Void, Explanation>) -> Void
    ) {
        calls.append("initiate \(connection ?? "-") \(child ?? "-")")
        initiations.append(outcome)
    }

    func terminate(
        _ filter: SAFilter, force: Bool, at now: Instant, outcome: @escaping (Result<Int, Explanation>) -> Void
    ) {
        calls.append("terminate \(filter.text)\(force ? " force" : "")")
        terminations.append(outcome)
    }

    func rekey(_ filter: SAFilter, reauthenticate: Bool, at now: Instant) -> Int {
        calls.append("rekey \(filter.text)\(reauthenticate ? " reauthenticate" : "")")
        return filter.count(in: sessions)
    }

    func install(connection: String?, child: String, at now: Instant) -> Result<Void, Explanation> {
        calls.append("install \(connection ?? "-") \(child)")
        guard let owner = connections.first(where: { $0.has(child: child) }) else {
            return .failure(Explanation("there is no child \(child)", remedy: "name one of the configuration"))
        }
        if let found = owner.children.first(where: { $0.name == child }) {
            traps.append(ChildCover(connectionName: owner.name, child: found, requestID: 1, selectors: []))
        }
        return .success(())
    }

    func uninstall(connection: String?, child: String, at now: Instant) -> Bool {
        calls.append("uninstall \(connection ?? "-") \(child)")
        let before = traps.count
        traps.removeAll { $0.child.name == child }
        return traps.count < before
    }
}
