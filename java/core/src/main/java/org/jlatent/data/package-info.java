/**
 * Images to train on: {@link org.jlatent.data.ImageSet} is what a program implements for its own,
 * {@link org.jlatent.data.Datasets} opens the known ones. Image sets are read by many threads at
 * once; everything else here belongs to one.
 */
package org.jlatent.data;
