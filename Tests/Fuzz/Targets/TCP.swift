import FuzzSupport
import Packets

/// The TCP view: options and data are inside of the segment.
@main
enum FuzzTCP {
    static func main() {
        fuzz { base, count in
            guard let header = TCPHeader(base, available: count) else { return }
            require(header.headerLength >= 20 && header.headerLength <= count, "header length")
            touch(header.options.baseAddress ?? base, header.options.count)
            touch(header.payload, count - header.headerLength)
            let (flags, window) = (header.flags, header.window)
            header.sequence = ~header.acknowledgement
            header.checksum = 0
            header.sourcePort = header.destinationPort
            require(header.flags == flags && header.window == window, "fields overlap")
            require(header.sequence == ~header.acknowledgement, "sequence")
        }
    }
}
