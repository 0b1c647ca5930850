/// One packet in a receive or transmit ring: the kernel's `struct xdp_desc`, 16 bytes.
@frozen public struct XDPDescriptor: BitwiseCopyable, Equatable, Sendable {
    /// The place of the packet's first byte, in bytes from the start of the UMEM.
    public var address: UInt64
    /// The packet's length in bytes, from its Ethernet header on.
    public var length: UInt32
    /// Option bits (`XDP_PKT_CONTD`, `XDP_TX_METADATA`); zero, as Sluice uses none.
    public var options: UInt32

    @inlinable public init(address: UInt64, length: UInt32, options: UInt32 = 0) {
        self.address = address
        self.length = length
        self.options = options
    }
}
