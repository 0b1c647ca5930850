/// The parts of the network configuration that messages from the kernel have changed.
package struct NetworkChange: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let links = NetworkChange(rawValue: 1 << 0)
    package static let addresses = NetworkChange(rawValue: 1 << 1)
    package static let routes = NetworkChange(rawValue: 1 << 2)
    /// The address to send to of a neighbour: it came, changed or went.
    package static let neighbours = NetworkChange(rawValue: 1 << 3)
    /// Routes may have changed in a way that the messages do not tell; they must be dumped again.
    ///
    /// IPv4 routes vanish silently when their interface goes down or their source address is deleted.
    package static let routesUncertain = NetworkChange(rawValue: 1 << 4)
    /// Messages were lost; everything must be dumped again.
    package static let everythingUncertain = NetworkChange(rawValue: 1 << 5)
    /// Neighbours changed their state, or came and went, without an address to send to that changed: what a scan of a
    /// network brings.
    package static let neighbourStates = NetworkChange(rawValue: 1 << 6)
}
