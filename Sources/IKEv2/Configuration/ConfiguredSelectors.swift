import IPsec
import Packets

/// The packets that a child is for by its configuration alone, whatever SAs there are: the part of the SPD that it stands
/// for (RFC 4301 section 4.4.1).
package struct ConfiguredSelectors: Hashable, Sendable {
    /// Selectors as an outbound packet carries them.
    package var selectors: [TrafficSelector]
    /// Whether nothing is missing: false while a side is `dynamic` and its address is not known.
    package var isComplete: Bool
}

extension Child {
    /// Every pair of `local_ts` and `remote_ts`. A `dynamic` side whose address is nil is left out.
    package func configuredSelectors(local: IPAddress?, remote: IPAddress?) -> ConfiguredSelectors {
        let ours = localSelectors.compactMap { $0.known(local) }
        let theirs = remoteSelectors.compactMap { $0.known(remote) }
        return ConfiguredSelectors(
            selectors: SelectorNegotiation.pairs(local: ours, remote: theirs),
            isComplete: ours.count == localSelectors.count && theirs.count == remoteSelectors.count)
    }

    /// Whether a side is `dynamic`.
    package var hasDynamicSelectors: Bool {
        (localSelectors + remoteSelectors).contains { $0.addresses == nil }
    }
}

extension Connection {
    /// The selectors of a child of this connection, with the addresses that IKE would use: each one that the peer may have, since
    /// the next attempt may lead there.
    /// - `resolved`: the addresses of a host name; none: not known.
    /// - `source`: our address towards a peer by the host's routes; nil: there is none, or nobody is asked.
    package func configuredSelectors(
        of child: Child, resolved: (String) -> [IPAddress], source: (IPAddress) -> IPAddress?
    ) -> ConfiguredSelectors {
        guard child.hasDynamicSelectors else { return child.configuredSelectors(local: nil, remote: nil) }
        let remotes = remoteAddresses.filter(\.isDestination).flatMap { pattern -> [IPAddress?] in
            switch pattern {
            case .range(let range): return [range.first]
            case .name(let name):
                let addresses = resolved(name)
                return addresses.isEmpty ? [nil] : addresses
            }
        }
        guard !remotes.isEmpty else {
            return child.configuredSelectors(local: localAddresses.first?.single, remote: nil)
        }
        var all = ConfiguredSelectors(selectors: [], isComplete: true)
        for remote in remotes {
            let local = remote.map { localAddress(towards: $0, source: source) } ?? localAddresses.first?.single
            let known = child.configuredSelectors(local: local, remote: remote)
            for selector in known.selectors where !all.selectors.contains(selector) { all.selectors.append(selector) }
            all.isComplete = all.isComplete && known.isComplete
        }
        return all
    }

    /// Ours towards a peer: the configured one, or by the host's routes among those that are configured.
    func localAddress(towards remote: IPAddress, source: (IPAddress) -> IPAddress?) -> IPAddress? {
        let fitting = localAddresses.compactMap(\.single).first { $0.family == remote.family }
        if let fitting { return fitting }
        guard let source = source(remote) else { return nil }
        let ranges = localAddresses.compactMap { pattern in
            if case .range(let range) = pattern { range } else { nil }
        }
        return ranges.isEmpty || ranges.contains { $0.contains(source) } ? source : nil
    }
}

extension SelectorSide {
    /// The side with the endpoint's address in place of `dynamic`; nil while that is not known.
    fileprivate func known(_ address: IPAddress?) -> SelectorSide? {
        addresses == nil ? address.map(resolved) : self
    }
}

/// One item of `local_ts` with one of `remote_ts`. A peer that keeps a policy for each pair of networks makes a CHILD_SA
/// for each, and does not take more than one of them at a time (RFC 7296 section 2.9).
package struct SelectorPair: Hashable, Sendable {
    package var local: SelectorSide
    package var remote: SelectorSide

    package init(local: SelectorSide, remote: SelectorSide) {
        self.local = local
        self.remote = remote
    }

    /// The selector as an outbound packet carries it; nil: there is no such packet.
    func selector(in context: SelectorContext) -> TrafficSelector? {
        SelectorNegotiation.pairs(
            local: [local.resolved(context.local)], remote: [remote.resolved(context.remote)]
        ).first
    }
}

extension SelectorPair: CustomStringConvertible {
    package var description: String { "\(local) === \(remote)" }
}

extension Child {
    /// All pairs that there can be packets for, in the order of the configuration.
    func pairs(in context: SelectorContext) -> [SelectorPair] {
        localSelectors.flatMap { local in
            remoteSelectors.lazy.map { SelectorPair(local: local, remote: $0) }.filter {
                $0.selector(in: context) != nil
            }
        }
    }

    /// The first pair that a packet belongs to.
    func pair(holding packet: TrafficSelector, in context: SelectorContext) -> SelectorPair? {
        for local in localSelectors where local.resolved(context.local).addresses?.contains(packet.source) == true {
            for remote in remoteSelectors {
                let pair = SelectorPair(local: local, remote: remote)
                if pair.selector(in: context)?.contains(packet) == true { return pair }
            }
        }
        return nil
    }

    /// The child with one pair of its selectors only; nil: with all.
    func only(_ pair: SelectorPair?) -> Child {
        guard let pair else { return self }
        var child = self
        child.localSelectors = [pair.local]
        child.remoteSelectors = [pair.remote]
        return child
    }
}
