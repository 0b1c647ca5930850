import IPsec
import Packets

// Traps: policies without an SA, whose packets call for one (RFC 4301 section 4.4.1, `start_action = trap`).
extension SessionManager {
    /// All traps that are installed.
    public var traps: [TrapPolicy] { installedTraps.values.sorted { $0.requestID < $1.requestID } }

    /// Lets packets of a child call for it, as `start_action = trap` does.
    public func install(connection: String?, child: String, at now: UInt64) -> Result<Void, Explanation> {
        run(at: now) {
            switch find(connection: connection, child: child) {
            case .failure(let why): .failure(why)
            case .success((let connection, let child?)): setTrap(child, of: connection)
            case .success: .failure(Explanation("there is no child \(child)"))
            }
        }
    }

    /// Takes the traps of a child away. False: there was none.
    public func uninstall(connection: String?, child: String, at now: UInt64) -> Bool {
        run(at: now) {
            let meant = traps.filter {
                $0.child.name == child && (connection == nil || $0.connectionName == connection)
            }
            for trap in meant { removeTrap(trap) }
            return !meant.isEmpty
        }
    }

    func hasTrap(_ child: Child, of connection: Connection) -> Bool {
        trapIDs[RequestIDs.Owner(connection: connection.name, child: child.name)] != nil
    }

    /// Installs a trap unless it is there. When its selectors need the address of a peer that is known by name, it
    /// comes once that is resolved.
    func setTrap(_ child: Child, of connection: Connection, isNameKnown: Bool = false) -> Result<Void, Explanation> {
        if hasTrap(child, of: connection) { return .success(()) }
        let remote: IPAddress?
        switch connection.remoteAddresses.first(where: \.isDestination) {
        case .range(let range): remote = range.first
        case .name(let name):
            if !isNameKnown {
                resolve(name, for: .trap(connection: connection.name, child: child.name))
                return .success(())
            }
            remote = names.addresses[name]?.first
        case nil: remote = nil
        }
        guard let remote else { return .failure(.noRemoteAddress(of: connection)) }
        guard let local = localAddress(of: connection, towards: remote) else {
            return .failure(Explanation("there is no route to \(remote)", remedy: "check local_addrs and the routes"))
        }
        return installTrap(child, of: connection, local: local, remote: remote)
    }

    private func installTrap(
        _ child: Child, of connection: Connection, local: IPAddress, remote: IPAddress
    ) -> Result<Void, Explanation> {
        let selectors = SelectorNegotiation.pairs(
            local: child.localSelectors.map { $0.concrete(local) },
            remote: child.remoteSelectors.map { $0.concrete(remote) })
        let trap = TrapPolicy(
            connectionName: connection.name, child: child,
            requestID: requestIDs.trap(connection: connection.name, child: child), selectors: selectors)
        do throws(InstallationError) {
            try dataplane.installTrap(trap)
            installedTraps[trap.requestID] = trap
            trapIDs[RequestIDs.Owner(connection: connection.name, child: child.name)] = trap.requestID
            return .success(())
        } catch {
            count.installationsFailed += 1
            requestIDs.releaseTrap(connection: connection.name, child: child.name)
            return .failure(
                Explanation("the trap of \(child.name) could not be installed", details: [error.description]))
        }
    }

    /// Removes the trap of a child, if there is one.
    func removeTrap(of child: String, in connection: String) {
        let owner = RequestIDs.Owner(connection: connection, child: child)
        if let trap = trapIDs[owner].flatMap({ installedTraps[$0] }) { removeTrap(trap) }
    }

    func removeTrap(_ trap: TrapPolicy) {
        dataplane.removeTrap(requestID: trap.requestID)
        installedTraps[trap.requestID] = nil
        trapIDs[RequestIDs.Owner(connection: trap.connectionName, child: trap.child.name)] = nil
        requestIDs.releaseTrap(connection: trap.connectionName, child: trap.child.name)
    }
}

extension SelectorSide {
    /// With the endpoint's address in place of `dynamic`.
    fileprivate func concrete(_ address: IPAddress) -> SelectorSide {
        var side = self
        if side.addresses == nil { side.addresses = AddressRange(address) }
        return side
    }
}
