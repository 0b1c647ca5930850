import CLibBPF
import Packets

/// The pairs of prefix lengths that the rules of a family have, each with a number: the program looks a packet up once
/// for each.
///
/// The first pairs that are asked for are had exactly. When their places are taken, lengths are rounded down to a grid,
/// whose places are kept free for that: rules are then about more packets than they should be, but none is left out.
struct SteeringTuples {
    struct Lengths: Hashable {
        var source, destination: Int
    }

    private struct Slot {
        var lengths: Lengths
        /// The number of rules that use the pair.
        var uses: Int
    }

    private let grid: [Int]
    private var slots = [Slot?](repeating: nil, count: capacity)

    static let capacity = Int(SLUICE_MAX_TUPLES)
    /// Places for exact pairs; the grid has the others.
    static let exact = 16

    init(_ family: AddressFamily) {
        grid = family == .ipv4 ? [0, 8, 16, 24] : [0, 32, 48, 64]
    }

    /// One more than the highest number in use.
    var count: Int { (slots.lastIndex { $0 != nil } ?? -1) + 1 }

    /// The lengths of a number in use.
    func lengths(_ number: Int) -> Lengths? { slots[number]?.lengths }

    /// The number of a pair in use.
    func number(of lengths: Lengths) -> Int? { slots.firstIndex { $0?.lengths == lengths } }

    /// The number for one more rule; nil when only a rounded one would be left and `rounding` is not allowed.
    mutating func take(_ wanted: Lengths, rounding: Bool) -> Int? {
        if let known = number(of: wanted) {
            slots[known]?.uses += 1
            return known
        }
        if let free = slots.prefix(Self.exact).firstIndex(where: { $0 == nil }) {
            slots[free] = Slot(lengths: wanted, uses: 1)
            return free
        }
        let (row, column) = (gridIndex(wanted.source), gridIndex(wanted.destination))
        let rounded = Lengths(source: grid[row], destination: grid[column])
        guard rounding || rounded == wanted else { return nil }
        let number = Self.exact + row * grid.count + column
        slots[number] = Slot(lengths: rounded, uses: (slots[number]?.uses ?? 0) + 1)
        return number
    }

    /// Gives a rule's place back.
    mutating func release(_ number: Int) {
        guard let slot = slots[number] else { return }
        slots[number] = slot.uses > 1 ? Slot(lengths: slot.lengths, uses: slot.uses - 1) : nil
    }

    private func gridIndex(_ length: Int) -> Int { grid.lastIndex { $0 <= length } ?? 0 }
}
