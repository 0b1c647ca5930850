import FuzzSupport
import Packets

/// Ethernet with and without a tag: the header fits, and what is set is read back.
@main
enum FuzzEthernet {
    static func main() {
        fuzz { base, count in
            guard let header = EthernetHeader(base, available: count) else { return }
            require(header.headerLength <= count, "header beyond the frame")
            touch(base + header.headerLength, count - header.headerLength)
            let source = header.source
            header.source = header.destination
            header.destination = source
            require(header.destination == source, "destination")
            require(MACAddress(source.description) == source, "text of \(source)")
            guard let tag = header.tag else {
                require(header.payloadType == header.etherType, "type without a tag")
                return
            }
            let (identifier, priority) = (tag.identifier, tag.priority)
            tag.identifier = identifier ^ 0xFFF
            require(tag.priority == priority && tag.identifier == identifier ^ 0xFFF, "identifier")
            tag.priority = 7
            require(tag.priority == 7 && tag.identifier == identifier ^ 0xFFF, "priority")
            require(header.payloadType == tag.etherType, "type behind a tag")
        }
    }
}
