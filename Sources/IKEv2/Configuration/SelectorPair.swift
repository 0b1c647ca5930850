import IPsec
import Packets

/// One item of `local_ts` with one of `remote_ts`. A peer that keeps a policy for each pair of networks makes a CHILD_SA
/// for each, and does not take more than one of them at a time (RFC 7296 section 2.9).
public struct SelectorPair: Hashable, Sendable {
    public var local: SelectorSide
    public var remote: SelectorSide

    public init(local: SelectorSide, remote: SelectorSide) {
        self.local = local
        self.remote = remote
    }

    /// As an outbound packet carries it; nil: there is no such packet.
    func selector(on path: Path) -> TrafficSelector? {
        SelectorNegotiation.pairs(
            local: [local.resolved(path.local.address)], remote: [remote.resolved(path.remote.address)]
        ).first
    }
}

extension SelectorPair: CustomStringConvertible {
    public var description: String { "\(local) === \(remote)" }
}

extension Child {
    /// All pairs that there can be packets for, in the order of the configuration.
    func pairs(on path: Path) -> [SelectorPair] {
        localSelectors.flatMap { local in
            remoteSelectors.lazy.map { SelectorPair(local: local, remote: $0) }.filter { $0.selector(on: path) != nil }
        }
    }

    /// The first pair that a packet belongs to.
    func pair(holding packet: TrafficSelector, on path: Path) -> SelectorPair? {
        for local in localSelectors where local.resolved(path.local.address).addresses?.contains(packet.source) == true
        {
            for remote in remoteSelectors {
                let pair = SelectorPair(local: local, remote: remote)
                if pair.selector(on: path)?.contains(packet) == true { return pair }
            }
        }
        return nil
    }

    /// With one pair of its selectors only; nil: with all.
    func only(_ pair: SelectorPair?) -> Child {
        guard let pair else { return self }
        var child = self
        child.localSelectors = [pair.local]
        child.remoteSelectors = [pair.remote]
        return child
    }
}
