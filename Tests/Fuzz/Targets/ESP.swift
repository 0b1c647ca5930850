import FuzzSupport
import Packets

/// The ESP and AH views.
@main
enum FuzzESP {
    static func main() {
        fuzz { base, count in
            if let header = AHHeader(base, available: count) {
                require(header.headerLength >= 12 && header.headerLength <= count, "AH length")
                touch(header.integrityCheckValue.baseAddress ?? base, header.integrityCheckValue.count)
                touch(header.payload, count - header.headerLength)
            }
            if let header = ESPHeader(base, available: count) {
                touch(header.payload, count - ESPHeader.length)
                let (spi, sequence) = (header.spi, header.sequence)
                header.spi = ~spi
                require(header.sequence == sequence && header.spi == ~spi, "SPI")
                header.sequence = ~sequence
                require(header.sequence == ~sequence && header.spi == ~spi, "sequence")
            }
        }
    }
}
