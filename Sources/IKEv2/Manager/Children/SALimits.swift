import IPsec

extension SessionEnvironment {
    /// Where a new CHILD_SA of `child` has its limits: of bytes and packets both, of time only the hard one, since the
    /// session itself knows when a rekey is due. A soft limit comes up to `random` earlier, so that gateways do not all
    /// rekey at once.
    func lifetime(of child: Child) -> Lifetime {
        Lifetime(
            softBytes: soft(child.bytes), hardBytes: child.bytes.life.nonzero,
            softPackets: soft(child.packets), hardPackets: child.packets.life.nonzero,
            hardSecondsAfterAdd: child.time.life.nonzero)
    }

    /// A number below `limit`, or 0.
    func random(below limit: UInt64) -> UInt64 {
        guard limit > 0 else { return 0 }
        return random(count: 8).reduce(0) { $0 << 8 | UInt64($1) } % limit
    }

    private func soft(_ limit: Child.Limit) -> UInt64? {
        guard limit.rekey > 0 else { return nil }
        // A margin as large as the limit itself would rekey without end.
        let jitter = random(below: min(limit.random, limit.rekey - 1) &+ 1)
        return limit.rekey - jitter
    }
}

extension UInt64 {
    /// Limits are written with 0 for "never".
    fileprivate var nonzero: UInt64? { self == 0 ? nil : self }
}
