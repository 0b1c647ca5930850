import IPsec
import Packets

/// The inbound half of the SAD as lookups read it, changed in place while nobody does.
final class InboundTables {
    /// An inbound SA, and its place in the order in which all came.
    struct Member {
        var association: InboundSA
        var number: UInt64
    }

    let spis: SPITables
    /// By slot, as are the members.
    let links: HotVector<InboundLink>
    private(set) var members: [Member?]

    init() {
        spis = SPITables()
        links = HotVector([])
        members = []
    }

    private init(copying other: InboundTables) {
        spis = other.spis.copy()
        links = other.links.copy()
        members = other.members
    }

    func copy() -> InboundTables { InboundTables(copying: self) }

    /// Takes out what is in the slot.
    func clear(_ slot: Int) {
        guard members.indices.contains(slot), let member = members[slot] else { return }
        spis.remove(member.association.parameters.spi.bigEndian)
        members[slot] = nil
    }

    /// Puts an SA into an empty slot. No other slot has its SPI.
    func set(_ slot: Int, to member: Member, link: InboundLink) {
        while members.count <= slot { members.append(nil) }
        links.grow(to: slot + 1, repeating: link)
        members[slot] = member
        links.base[slot] = link
        spis.set(member.association.parameters.spi.bigEndian, link: slot, sa: member.association.runtime)
    }
}
