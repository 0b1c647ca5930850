/// Faults of the path between two gateways, made by a filter on the bridge that is their wire.
extension TwoGateways {
    /// Nothing passes any more, while the links of both gateways stay up.
    public func cut() throws { try filter("counter drop") }

    /// So many of a hundred frames are lost, at random. `match` narrows that, e.g. to `udp dport 500`.
    public func lose(percent: Int, _ match: String = "") throws {
        // "less than 100 of 100" is out of range for nft.
        let chance = percent < 100 ? "numgen random mod 100 < \(percent)" : ""
        try filter("\(match) \(chance) counter drop")
    }

    /// Everything passes again.
    public func restore() throws { try run(["nft", "delete", "table", "bridge", "faults"], in: wire) }

    private func filter(_ rule: String) throws {
        let table = """
            table bridge faults {
                chain forward {
                    type filter hook forward priority 0
                    \(rule)
                }
            }

            """
        try run(["nft", "-f", "-"], in: wire, input: table)
    }
}
