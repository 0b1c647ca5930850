/// The contents of a map, and what it ought to hold.
struct SteeredSet<Element: Hashable> {
    private var present: Set<Element> = []
    private var wanted: Set<Element> = []
    private var isUpToDate = true
    /// Whether the map has something that is not wanted any more.
    private(set) var isStale = false

    mutating func want(_ elements: Set<Element>) {
        guard elements != wanted else { return }
        wanted = elements
        isUpToDate = false
    }

    /// Adds what is missing, then removes the rest, each as far as the kernel takes it. Returns what failed.
    mutating func update(
        add: (Element) throws(XDPError) -> Void, remove: (Element) throws(XDPError) -> Void
    ) -> XDPError? {
        guard !isUpToDate else { return nil }
        let isFull = self.add(add) != nil
        let removal = self.remove(remove)
        // There may be room now.
        let addition = isFull ? self.add(add) : nil
        isStale = removal != nil
        isUpToDate = removal == nil && addition == nil
        return removal ?? addition
    }

    private mutating func add(_ body: (Element) throws(XDPError) -> Void) -> XDPError? {
        for element in wanted.subtracting(present) {
            do throws(XDPError) {
                try body(element)
                present.insert(element)
            } catch {
                return error
            }
        }
        return nil
    }

    private mutating func remove(_ body: (Element) throws(XDPError) -> Void) -> XDPError? {
        var failure: XDPError?
        for element in present.subtracting(wanted) {
            do throws(XDPError) {
                try body(element)
                present.remove(element)
            } catch {
                failure = error
            }
        }
        return failure
    }
}
