/// Why something cannot become part of a snapshot.
public enum PolicyError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Two inbound SAs have this SPI (host order).
    case duplicateSPI(UInt32)
    /// The endpoints of a template differ in address family.
    case mixedFamilies(policy: String)
    /// The SA's owner is not one of the workers.
    case ownerOutOfRange(spi: UInt32, owner: Int, workers: Int)

    public var description: String {
        switch self {
        case .duplicateSPI(let spi):
            "two inbound SAs have the SPI 0x\(String(spi, radix: 16)); give each its own"
        case .mixedFamilies(let policy):
            "the template of policy \(policy) has endpoints of two address families; use one"
        case .ownerOutOfRange(let spi, let owner, let workers):
            "the SA with SPI 0x\(String(spi, radix: 16)) belongs to worker \(owner), but there are \(workers) workers"
        }
    }
}
