import FuzzSupport
import Packets

/// The fragmenter: two bytes of MTU, then a packet. Fragments fit, are valid, and hold the data in order.
@main
enum FuzzFragmenter {
    static func main() {
        fuzz { input, size in
            guard size >= 2 else { return }
            let mtu = Int(input.loadUnaligned(as: UInt16.self).bigEndian)
            let (packet, count) = (input + 2, size - 2)
            guard var fragmenter = IPv4Fragmenter(packet, available: count, mtu: mtu),
                let whole = IPv4Header(packet, available: count)
            else { return }
            var done = 0
            var isLast = false
            withOutput(min(mtu, whole.totalLength)) { buffer in
                while true {
                    let length = fragmenter.next(into: buffer)
                    if length == 0 { break }
                    require(!isLast && length <= mtu, "length")
                    guard let fragment = IPv4Header(buffer, available: length) else { fatalError("no packet") }
                    require(fragment.totalLength == length && fragment.isChecksumValid, "header")
                    require(fragment.fragmentOffset == whole.fragmentOffset + done, "offset")
                    for index in 0..<fragment.payloadLength {
                        require(
                            fragment.payload.load(fromByteOffset: index, as: UInt8.self)
                                == whole.payload.load(fromByteOffset: done + index, as: UInt8.self), "data")
                    }
                    done += fragment.payloadLength
                    isLast = done == whole.payloadLength
                    require(fragment.moreFragments == (!isLast || whole.moreFragments), "more fragments")
                }
            }
            require(isLast, "data left over")
        }
    }
}
