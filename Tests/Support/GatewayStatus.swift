/// What the tests read out of `sluice status --json`.
extension JSON {
    /// Packets that went through the SAs of one direction, `in` or `out`.
    public func packets(_ direction: String) -> Int {
        self["security_associations"].array.filter { $0["direction"].string == direction }
            .reduce(0) { $0 + ($1["packets"].int ?? 0) }
    }

    /// The largest inner packet of the outbound SA.
    public var tunnelMTU: Int? {
        self["security_associations"].array.first { $0["direction"].string == "out" }?["mtu"].int
    }

    /// Packets dropped for one reason, over all workers.
    public func drops(_ reason: String) -> Int {
        self["drops"].array.filter { $0["reason"].string == reason }.reduce(0) { $0 + ($1["packets"].int ?? 0) }
    }

    /// Packets dropped for any reason.
    public var allDrops: [String: Int] {
        Dictionary(
            self["drops"].array.map { ($0["reason"].string ?? "?", $0["packets"].int ?? 0) }, uniquingKeysWith: +)
    }

    /// Frames in the pools of all workers.
    public var freeFrames: Int { self["workers"].array.reduce(0) { $0 + ($1["free_frames"].int ?? 0) } }

    /// One of the workers' counters, summed.
    public func counter(_ name: String) -> Int {
        self["workers"].array.flatMap { $0["counters"].array }.filter { $0["name"].string == name }
            .reduce(0) { $0 + ($1["packets"].int ?? 0) }
    }

    /// Packets that the workers took from their sockets.
    public var receivedPackets: Int { self["workers"].array.reduce(0) { $0 + ($1["received_packets"].int ?? 0) } }

    /// How the XDP program of a port is attached: `native` or `generic`.
    public func mode(ofPort name: String) -> String? {
        self["ports"].array.first { $0["name"].string == name }?["xdp_mode"].string
    }
}
