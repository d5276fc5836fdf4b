// Names of choices, which Python passes as strings.
#pragma once
#include <algorithm>
#include <initializer_list>
#include <string>

#include "array.hpp"

namespace pyrec {

// A choice among `names`, as the enumerator in its place; `what` it is a choice of.
template <class E> E choice(const char* what, const std::string& name, std::initializer_list<const char*> names) {
    const auto at = std::find(names.begin(), names.end(), name);
    if (at == names.end()) throw py::value_error(std::string("no such ") + what + ": " + name);
    return static_cast<E>(at - names.begin());
}

}  // namespace pyrec
