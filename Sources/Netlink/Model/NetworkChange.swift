/// The parts of the network configuration that messages from the kernel have changed.
public struct NetworkChange: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let links = NetworkChange(rawValue: 1 << 0)
    public static let addresses = NetworkChange(rawValue: 1 << 1)
    public static let routes = NetworkChange(rawValue: 1 << 2)
    /// The address to send to of a neighbour: it came, changed or went.
    public static let neighbours = NetworkChange(rawValue: 1 << 3)
    /// Routes may have changed in a way that the messages do not tell; they must be dumped again.
    ///
    /// IPv4 routes vanish silently when their interface goes down or their source address is deleted.
    public static let routesUncertain = NetworkChange(rawValue: 1 << 4)
    /// Messages were lost; everything must be dumped again.
    public static let everythingUncertain = NetworkChange(rawValue: 1 << 5)
    /// Neighbours changed their state, or came and went, without an address to send to that changed: what a scan of a
    /// network brings.
    public static let neighbourStates = NetworkChange(rawValue: 1 << 6)
}
