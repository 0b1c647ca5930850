import IPsec
import Packets

// What children cover, whatever SAs there are (RFC 4301 section 4.4.1): a child that is loaded keeps its packets from
// leaving in clear, and one with `start_action = trap` is called for by them. Neither route nor resolver is needed for
// that, but for the address that `dynamic` stands for: it is looked for until it is found.
extension SessionManager {
    /// What children with traps cover.
    public var traps: [ChildCover] { covers.ordered.filter(\.acquires) }

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

    /// Takes the traps of a child away; what it covers stays covered. False: there was none.
    public func uninstall(connection: String?, child: String, at now: UInt64) -> Bool {
        run(at: now) {
            let meant = covers.trapped.filter {
                $0.child == child && (connection == nil || $0.connection == connection)
            }
            for owner in meant {
                covers.trapped.remove(owner)
                coverAgain(owner)
            }
            return !meant.isEmpty
        }
    }

    /// The host's addresses or routes have changed: what waited for that is tried again.
    /// - Parameter localAddresses: all of the host's; nil: not known.
    public func networkChanged(_ localAddresses: Set<IPAddress>? = nil, at now: UInt64) {
        run(at: now) {
            for name in covers.dynamic.sorted() { connectionTable[name].map(cover) }
            if let localAddresses { replaceLostAddresses(localAddresses) }
            attemptStanding()
        }
    }

    /// Lets packets of a child call for it; fails when there is nobody to call.
    func setTrap(_ child: Child, of connection: Connection) -> Result<Void, Explanation> {
        guard connection.hasKnownRemote else { return .failure(.noRemoteAddress(of: connection)) }
        let owner = CoverTable.Owner(connection: connection.name, child: child.name)
        if covers.trapped.insert(owner).inserted { cover(child, of: connection) }
        return .success(())
    }

    // MARK: Coming and going

    /// Brings what the children of a connection cover up to date.
    func cover(_ connection: Connection) {
        for child in connection.children { cover(child, of: connection) }
    }

    /// The child is not loaded any more.
    func uncover(_ owner: CoverTable.Owner) {
        covers.trapped.remove(owner)
        restarts.forget(owner)
        guard covers[owner] != nil else { return }
        covers.set(owner, to: nil)
        dataplane.uncover(connection: owner.connection, child: owner.child)
        requestIDs.release(connection: owner.connection, child: owner.child)
    }

    private func coverAgain(_ owner: CoverTable.Owner) {
        guard let connection = connectionTable[owner.connection],
            let child = connection.children.first(where: { $0.name == owner.child })
        else { return }
        cover(child, of: connection)
    }

    private func cover(_ child: Child, of connection: Connection) {
        let owner = CoverTable.Owner(connection: connection.name, child: child.name)
        let known = connection.configuredSelectors(
            of: child, resolved: { names.addresses[$0] ?? [] },
            source: { covers.source(towards: $0, now: output.sourceAddress(towards: $0)) })
        let new = ChildCover(
            connectionName: connection.name, child: child,
            requestID: requestIDs.own(connection: connection.name, child: child), selectors: known.selectors,
            isComplete: known.isComplete, rank: covers.rank(of: connection.name),
            acquires: covers.trapped.contains(owner))
        if !known.isComplete { awaitAddress(of: connection, child) }
        guard covers[owner] != new else { return }
        do throws(InstallationError) {
            try dataplane.cover(new)
            covers.set(owner, to: new)
        } catch {
            count.installationsFailed += 1
            note(
                .warning, "the policies of child \(child.name) could not be installed: \(error)",
                connection: connection.name)
        }
    }

    // MARK: Addresses

    /// A look at the time of the next one.
    func lookForAddresses() {
        covers.isLookScheduled = false
        let names = covers.waiting.sorted()
        covers.waiting = []
        covers.looks += 1
        for connection in names.compactMap({ connectionTable[$0] }) {
            for name in connection.names where self.names.addresses[name] == nil { resolve(name, for: .recognition) }
            cover(connection)
        }
        if covers.waiting.isEmpty { covers.looks = 0 }
        covers.told.formIntersection(covers.waiting)
    }

    /// The addresses of a name are known now, or again.
    func coverNamed(_ name: String) {
        for connection in covers.dynamic.sorted().compactMap({ connectionTable[$0] })
        where connection.names.contains(name) {
            cover(connection)
        }
    }

    /// Looks again in 1, 2, 4, … up to 32 seconds: a peer that may be anywhere brings its address itself.
    private func awaitAddress(of connection: Connection, _ child: Child) {
        guard connection.hasKnownRemote, !isShuttingDown else { return }
        covers.waiting.insert(connection.name)
        // A resolver's first answer takes a moment.
        if covers.looks > 0, covers.told.insert(connection.name).inserted {
            note(
                .warning,
                "an address that `dynamic` stands for in child \(child.name) is not known yet; check remote_addrs, "
                    + "local_addrs and the routes, or name the networks. It is looked for until it is found",
                connection: connection.name)
        }
        guard !covers.isLookScheduled else { return }
        covers.isLookScheduled = true
        timers.add(.addresses, at: after(seconds: 1 << min(covers.looks, 5)))
    }
}

extension Connection {
    /// Host names of both ends.
    var names: [String] {
        (localAddresses + remoteAddresses).compactMap { if case .name(let name) = $0 { name } else { nil } }
    }
}
