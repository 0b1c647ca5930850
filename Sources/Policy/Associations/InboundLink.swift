import Packets

/// What the policy check needs to know about an inbound SA.
@frozen
@usableFromInline
struct InboundLink: BitwiseCopyable, Sendable {
    @usableFromInline let requestID: UInt32
    /// The SA's own selectors authorise its packets, where no policy speaks.
    @usableFromInline let selectorsSuffice: Bool
    @usableFromInline let source: IPAddress
    @usableFromInline let destination: IPAddress

    init(requestID: UInt32, selectorsSuffice: Bool, source: IPAddress, destination: IPAddress) {
        self.requestID = requestID
        self.selectorsSuffice = selectorsSuffice
        self.source = source
        self.destination = destination
    }
}
