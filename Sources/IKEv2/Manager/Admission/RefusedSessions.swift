/// Sessions of peers that were refused in IKE_AUTH, the latest of them. They hold no slot any more: all that is left of
/// them is the answer, in case that it was lost.
struct RefusedSessions {
    private var numbers: [UInt32] = []
    private var next = 0

    static let capacity = 256

    /// Takes one in; the number of the one that has to go for it, if any.
    mutating func add(_ id: UInt32) -> UInt32? {
        guard numbers.count >= Self.capacity else {
            numbers.append(id)
            return nil
        }
        let oldest = numbers[next]
        numbers[next] = id
        next = (next + 1) % Self.capacity
        return oldest
    }
}
