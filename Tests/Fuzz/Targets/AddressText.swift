import FuzzSupport
import Packets

/// Text of addresses, prefixes and MAC addresses: what reads, writes a text that reads as the same.
@main
enum FuzzAddressText {
    static func main() {
        fuzz { input, size in
            let text = String(decoding: UnsafeRawBufferPointer(start: input, count: size), as: UTF8.self)
            if let address = IPAddress(text) {
                require(IPAddress(address.description) == address, "address \(address)")
            }
            if let prefix = IPPrefix(text) {
                require(IPPrefix(prefix.description) == prefix, "prefix \(prefix)")
                require(prefix.contains(prefix.first) && prefix.contains(prefix.last), "range of \(prefix)")
            }
            if let address = MACAddress(text) {
                require(MACAddress(address.description) == address, "MAC address \(address)")
            }
        }
    }
}
