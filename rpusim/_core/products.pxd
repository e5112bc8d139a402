"""Products of float32 matrices; see products.pyx."""

# y = alpha x w^T (or x w where transposed): w (rows, columns), x (vectors, columns) and y (vectors, rows), or the other way.
cdef void product(const float *w, Py_ssize_t rows, Py_ssize_t columns, const float *x, float *y, Py_ssize_t vectors,
                  int transposed, float alpha) noexcept nogil
# y += alpha x w^T (or x w): by way of `work`, as large as y.
cdef void add_product(const float *w, Py_ssize_t rows, Py_ssize_t columns, const float *x, float *y, float *work,
                      Py_ssize_t vectors, int transposed, float alpha) noexcept nogil
